package cmd

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/vers-fleet/vers-fleet/fleet/sim"
)

// recipe is a block of docs/recipes.md that a reader would paste into bash.
type recipe struct{ file, code string }

// recipes returns the bash blocks of docs/recipes.md, named after the headings
// they stand below: page/SECTION-1.sh, page/SECTION-2.sh.
func recipes(t *testing.T) []recipe {
	t.Helper()
	blocks := regexp.MustCompile("(?ms)^```bash\n(.*?)^```$")
	var out []recipe
	for _, section := range strings.Split(readFile(t, "../docs/recipes.md"), "\n## ")[1:] {
		title, body, _ := strings.Cut(section, "\n")
		slug := strings.ToLower(strings.ReplaceAll(title, " ", "-"))
		for i, block := range blocks.FindAllStringSubmatch(body, -1) {
			out = append(out, recipe{fmt.Sprintf("page/%s-%d.sh", slug, i+1), block[1]})
		}
	}
	return out
}

// TestRecipes runs testdata/recipes/*.txtar, which run the blocks of the page as
// they stand there, in bash, and look at what came of it. No block is left out.
func TestRecipes(t *testing.T) {
	blocks := recipes(t)
	p := scriptParams(sim.GuestBox)
	p.Dir = filepath.Join("testdata", "recipes")
	setup := p.Setup
	p.Setup = func(env *testscript.Env) error {
		if err := os.Mkdir(filepath.Join(env.WorkDir, "page"), 0o755); err != nil {
			return err
		}
		for _, b := range blocks {
			if err := os.WriteFile(filepath.Join(env.WorkDir, b.file), []byte(b.code), 0o644); err != nil {
				return err
			}
		}
		return setup(env)
	}
	scripts, err := filepath.Glob(filepath.Join(p.Dir, "*.txtar"))
	if err != nil {
		t.Fatal(err)
	}
	var all strings.Builder
	for _, s := range scripts {
		all.WriteString(readFile(t, s))
	}
	for _, b := range blocks {
		if !strings.Contains(all.String(), " bash -eu "+b.file+"\n") {
			t.Errorf("no script in %s runs %s", p.Dir, b.file)
		}
	}
	if len(blocks) < 6 {
		t.Errorf("only %d blocks were found", len(blocks))
	}
	testscript.Run(t, p)
}
