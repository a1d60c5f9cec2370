package transfer

import (
	"errors"
	"io"
	"io/fs"
	"net"
	"os"
	"testing"
	"time"

	"github.com/pkg/sftp"

	"github.com/vers-fleet/vers-fleet/fleet/transfer/listing"
)

// A server whose folders hold a folder called / is walked to an end: joined with the
// folder's path that name is the folder itself.
func TestSFTPWalkEnds(t *testing.T) {
	here, there := net.Pipe()
	server := sftp.NewRequestServer(there, sftp.Handlers{FileList: slashes{}})
	go func() { _ = server.Serve() }()
	defer server.Close()
	client, err := sftp.NewClientPipe(here, here)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	enough, n := errors.New("it goes round in circles"), 0
	w := sftpWalk{client, &meter{}, &listing.Root{Remote: "/top"}, func(err error) { t.Error(err) }}
	err = w.below(t.Context(), "d", func(string, os.FileInfo) error {
		if n++; n > 100 {
			return enough
		}
		return nil
	})
	if err != nil || n != 2 {
		t.Errorf("%d items, %v", n, err)
	}
}

// slashes lists in every folder one called / and a file.
type slashes struct{}

func (slashes) Filelist(*sftp.Request) (sftp.ListerAt, error) { return slashes{}, nil }

func (slashes) ListAt(list []os.FileInfo, offset int64) (int, error) {
	if offset > 0 {
		return 0, io.EOF
	}
	return copy(list, []os.FileInfo{entry{"/", fs.ModeDir | 0o755}, entry{"file", 0o644}}), io.EOF
}

type entry struct {
	name string
	mode fs.FileMode
}

func (e entry) Name() string       { return e.name }
func (e entry) Size() int64        { return 0 }
func (e entry) Mode() fs.FileMode  { return e.mode }
func (e entry) ModTime() time.Time { return time.Time{} }
func (e entry) IsDir() bool        { return e.mode.IsDir() }
func (e entry) Sys() any           { return nil }
