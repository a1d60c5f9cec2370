package lint

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"strings"
	"testing"
)

// TestVMNamesAreWrittenInOnePlace: below fleet/transfer only dest, the security
// border of a pull, writes to this machine's disk. The rest opens files for
// reading (push) and asks dest.
func TestVMNamesAreWrittenInOnePlace(t *testing.T) {
	for _, s := range sources(t) {
		path := filepath.ToSlash(s.path)
		if s.test() || !strings.HasPrefix(path, "fleet/transfer/") || strings.HasPrefix(path, "fleet/transfer/dest/") {
			continue
		}
		for _, n := range diskWrites(s.file) {
			t.Errorf("%s: writes to the disk; names that a VM chose are written by fleet/transfer/dest alone", s.at(n))
		}
	}
}

// diskWrites finds uses of what changes a file system, or opens the way to it:
// everything of os but what is named here, and system calls.
func diskWrites(f *ast.File) []ast.Node {
	var found []ast.Node
	for _, i := range f.Imports {
		switch i.Path.Value {
		case `"golang.org/x/sys/unix"`, `"io/ioutil"`:
			found = append(found, i)
		}
	}
	ast.Inspect(f, func(n ast.Node) bool {
		sel, ok := n.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		pkg, ok := sel.X.(*ast.Ident)
		if ok && (pkg.Name == "os" && !readsOnly(sel.Sel.Name) || pkg.Name == "syscall" && sel.Sel.Name != "Stat_t") {
			found = append(found, n)
		}
		return true
	})
	return found
}

// readsOnly names what of package os cannot change a file system. A File may be
// written if it was opened for writing, which none of these does.
func readsOnly(name string) bool {
	switch name {
	case "Open", "Stat", "Lstat", "ReadFile", "Readlink", "ReadDir", "DirFS", "SameFile", "File", "FileInfo", "FileMode", "ErrNotExist", "ErrExist":
		return true
	}
	return false
}

func TestBorderRuleFindsViolations(t *testing.T) {
	for src, want := range map[string]int{
		"f, _ := os.Open(name)":          0,
		"os.Stat(name)":                  0,
		"os.Create(name)":                1,
		"os.OpenFile(name, 0, 0)":        1,
		"os.OpenRoot(name)":              1,
		"os.RemoveAll(name)":             1,
		"syscall.Rename(a, b)":           1,
		"_ = fi.Sys().(*syscall.Stat_t)": 0,
		"defer os.Remove(name)":          1,
		"write := os.WriteFile":          1,
		"os.Rename(a, b); os.Mkdir(c)":   2,
	} {
		f, err := parser.ParseFile(token.NewFileSet(), "p.go", "package p\nfunc f() { "+src+" }", 0)
		if err != nil {
			t.Fatal(err)
		}
		if got := len(diskWrites(f)); got != want {
			t.Errorf("%d violations found, want %d in: %s", got, want, src)
		}
	}
}
