package lint

import (
	"go/ast"
	"go/parser"
	"go/token"
	"strconv"
	"testing"
)

// TestProgramsAreWrittenInOnePlace: what is run a moment after it was written does
// not always run, see executable.Write.
func TestProgramsAreWrittenInOnePlace(t *testing.T) {
	for _, s := range sources(t) {
		if s.file.Name.Name == "executable" {
			continue
		}
		for _, n := range programWrites(s.file) {
			t.Errorf("%s: writes a program; fleet/sim/executable does it so that it runs at once", s.at(n))
		}
	}
}

// programWrites finds files that are made with a mode that lets them be run.
func programWrites(f *ast.File) (found []ast.Node) {
	ast.Inspect(f, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok || len(call.Args) != 3 || !isSelector(call.Fun, "os", "WriteFile") && !isSelector(call.Fun, "os", "OpenFile") {
			return true
		}
		if lit, ok := call.Args[2].(*ast.BasicLit); ok {
			if mode, err := strconv.ParseUint(lit.Value, 0, 32); err == nil && mode&0o111 != 0 {
				found = append(found, n)
			}
		}
		return true
	})
	return found
}

func TestProgramWritesAreSeen(t *testing.T) {
	f, err := parser.ParseFile(token.NewFileSet(), "x.go", `package x
var a, b, c = os.WriteFile("x", nil, 0o644), os.WriteFile("y", nil, 0o755), os.OpenFile("z", 1, 0700)`, 0)
	if err != nil {
		t.Fatal(err)
	}
	if n := len(programWrites(f)); n != 2 {
		t.Errorf("%d of 2 seen", n)
	}
}
