package fleet

// hostName is the VM's name on the platform, and its SNI.
func (f *Fleet) hostName(id string) string { return id + "." + f.o.VMDomain }
