package lint

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// maxLines is the limit of the house for one file, maxFunction that for what
// stands between the braces of a function.
const (
	maxLines    = 400
	maxFunction = 40
)

type source struct {
	path string // relative to the module
	file *ast.File
	fset *token.FileSet
}

func (s source) test() bool { return strings.HasSuffix(s.path, "_test.go") }

// sources parses every Go file of the module.
func sources(t *testing.T) []source {
	t.Helper()
	root := filepath.Join("..", "..", "..")
	if _, err := os.Stat(filepath.Join(root, "go.mod")); err != nil {
		t.Fatalf("not at the module's root: %v", err)
	}
	var out []source
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (d.Name() == "testdata" || strings.HasPrefix(d.Name(), ".") && path != root):
			return filepath.SkipDir
		case d.IsDir() || !strings.HasSuffix(path, ".go"):
			return nil
		}
		fset := token.NewFileSet()
		f, err := parser.ParseFile(fset, path, nil, parser.ParseComments)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, path)
		out = append(out, source{rel, f, fset})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func (s source) at(n ast.Node) token.Position {
	p := s.fset.Position(n.Pos())
	p.Filename = s.path
	return p
}

func TestNoPackageState(t *testing.T) {
	for _, s := range sources(t) {
		if s.test() {
			continue
		}
		for _, n := range packageState(s.file) {
			t.Errorf("%s: package-level variable or init; pass it as a parameter", s.at(n))
		}
	}
}

// packageState finds init functions and variables at package level. Allowed
// are sentinel errors, interface assertions, embedded files, and tables that
// are built once when first used and never written.
func packageState(f *ast.File) []ast.Node {
	var found []ast.Node
	for _, d := range f.Decls {
		switch d := d.(type) {
		case *ast.FuncDecl:
			if d.Name.Name == "init" && d.Recv == nil {
				found = append(found, d)
			}
		case *ast.GenDecl:
			for _, spec := range d.Specs {
				v, ok := spec.(*ast.ValueSpec)
				if ok && d.Tok == token.VAR && !embedded(d) && !embedded(v) && !allowedVar(v) {
					found = append(found, v)
				}
			}
		}
	}
	return found
}

func allowedVar(v *ast.ValueSpec) bool {
	if len(v.Names) == 1 && v.Names[0].Name == "_" {
		return true
	}
	if len(v.Values) == 0 {
		return false
	}
	for i, value := range v.Values {
		switch value := value.(type) {
		case *ast.CallExpr:
			if !isSelector(value.Fun, "errors", "New") && !isSelector(value.Fun, "sync", "OnceValue") {
				return false
			}
		case *ast.UnaryExpr: // errName = &someError{...}
			if _, ok := value.X.(*ast.CompositeLit); !ok || !strings.HasPrefix(strings.ToLower(v.Names[i].Name), "err") {
				return false
			}
		default:
			return false
		}
	}
	return true
}

func embedded(n ast.Node) bool {
	var doc *ast.CommentGroup
	switch n := n.(type) {
	case *ast.GenDecl:
		doc = n.Doc
	case *ast.ValueSpec:
		doc = n.Doc
	}
	if doc == nil {
		return false
	}
	for _, c := range doc.List {
		if strings.HasPrefix(c.Text, "//go:embed ") {
			return true
		}
	}
	return false
}

func isSelector(e ast.Expr, pkg, name string) bool {
	sel, ok := e.(*ast.SelectorExpr)
	if !ok || sel.Sel.Name != name {
		return false
	}
	id, ok := sel.X.(*ast.Ident)
	return ok && id.Name == pkg
}

func TestErrorTextIsNeverMatched(t *testing.T) {
	for _, s := range sources(t) {
		if s.test() {
			continue
		}
		for _, n := range textMatches(s.file) {
			t.Errorf("%s: matches on an error's text; use errors.Is or errors.As", s.at(n))
		}
	}
}

// textMatches finds err.Error() as an operand of ==, != or switch, or as an
// argument of a function of strings, regexp or bytes that compares.
func textMatches(f *ast.File) []ast.Node {
	var found []ast.Node
	ast.Inspect(f, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.BinaryExpr:
			if (n.Op == token.EQL || n.Op == token.NEQ) && (isErrorText(n.X) || isErrorText(n.Y)) {
				found = append(found, n)
			}
		case *ast.SwitchStmt:
			if n.Tag != nil && isErrorText(n.Tag) {
				found = append(found, n)
			}
		case *ast.CallExpr:
			sel, ok := n.Fun.(*ast.SelectorExpr)
			if !ok || !comparing(sel.Sel.Name) {
				return true
			}
			for _, a := range n.Args {
				if isErrorText(a) {
					found = append(found, n)
				}
			}
		}
		return true
	})
	return found
}

func comparing(name string) bool {
	for _, p := range []string{"Contains", "HasPrefix", "HasSuffix", "EqualFold", "Index", "Match", "Find", "Count"} {
		if strings.HasPrefix(name, p) {
			return true
		}
	}
	return false
}

// isErrorText reports x.Error(), also inside strings.ToLower and the like.
func isErrorText(e ast.Expr) bool {
	call, ok := e.(*ast.CallExpr)
	if !ok {
		return false
	}
	if sel, ok := call.Fun.(*ast.SelectorExpr); ok && sel.Sel.Name == "Error" && len(call.Args) == 0 {
		return true
	}
	for _, a := range call.Args {
		if isErrorText(a) {
			return true
		}
	}
	return false
}

// A function that is longer than the guide has its place in longFunctions.
func TestFunctionsAreShort(t *testing.T) {
	allowed := longFunctions()
	for _, s := range sources(t) {
		if s.test() {
			continue
		}
		for _, d := range s.file.Decls {
			f, ok := d.(*ast.FuncDecl)
			if !ok || f.Body == nil {
				continue
			}
			lines := s.fset.Position(f.End()).Line - s.fset.Position(f.Pos()).Line - 1
			key := filepath.ToSlash(filepath.Dir(s.path)) + "." + f.Name.Name
			if lines <= maxFunction {
				continue
			}
			if limit := max(allowed[key], maxFunction); lines > limit {
				t.Errorf("%s: %s has %d lines, the limit is %d", s.at(f), key, lines, limit)
			}
			delete(allowed, key)
		}
	}
	for key := range allowed {
		t.Errorf("%s is short enough by now, or gone: take it out of longFunctions", key)
	}
}

func TestFilesAreShort(t *testing.T) {
	for _, s := range sources(t) {
		if n := s.fset.File(s.file.Pos()).LineCount(); n > maxLines {
			t.Errorf("%s has %d lines, the limit is %d", s.path, n, maxLines)
		}
	}
}

// Seeds in the tree make a fuzz target a test like any other in every run.
func TestFuzzTargetsHaveSeeds(t *testing.T) {
	for _, s := range sources(t) {
		for _, d := range s.file.Decls {
			if f, ok := d.(*ast.FuncDecl); ok && s.test() && strings.HasPrefix(f.Name.Name, "Fuzz") && !seeded(f) {
				t.Errorf("%s: %s has no seeds; call Add", s.at(f), f.Name.Name)
			}
		}
	}
}

func seeded(f *ast.FuncDecl) (found bool) {
	ast.Inspect(f, func(n ast.Node) bool {
		if call, ok := n.(*ast.CallExpr); ok {
			found = found || isSelector(call.Fun, "f", "Add")
		}
		return true
	})
	return found
}

func TestEveryPackageIsDocumented(t *testing.T) {
	documented := map[string]bool{}
	for _, s := range sources(t) {
		dir := filepath.Dir(s.path)
		if !s.test() {
			documented[dir] = documented[dir] || s.file.Doc != nil
		}
	}
	for dir, ok := range documented {
		if !ok {
			t.Errorf("package in %s has no package comment; write a doc.go", dir)
		}
	}
}

// The rules themselves must be able to fail.
func TestRulesFindViolations(t *testing.T) {
	for src, want := range map[string]int{
		"package p\nvar a = 1":                                             1,
		"package p\nvar a, b int":                                          1,
		"package p\nfunc init() {}":                                        1,
		"package p\nvar _ error = nil":                                     0,
		"package p\nvar a = &t{}":                                          1,
		"package p\nvar errA = &t{}":                                       0,
		"package p\nvar a = sync.OnceValue(f)":                             0,
		"package p\nimport \"errors\"\nvar e = errors.New()":               0,
		"package p\nfunc f(err error) bool { return err.Error() == \"\" }": 1,
		"package p\nfunc f(err error) bool { return strings.Contains(strings.ToLower(err.Error()), \"x\") }":          1,
		"package p\nfunc f(err error) { switch err.Error() { } }":                                                     1,
		"package p\nfunc f(err error) string { return \"a: \" + err.Error() }\ntype t struct{}\nfunc (t) init() {}\n": 0,
	} {
		f, err := parser.ParseFile(token.NewFileSet(), "p.go", src, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		if got := len(packageState(f)) + len(textMatches(f)); got != want {
			t.Errorf("%d violations found, want %d in:\n%s", got, want, src)
		}
	}
}
