package cmd

import (
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"

	"github.com/vers-fleet/vers-fleet/cmd/ui"
)

// Build is where the binary comes from, as the Go toolchain recorded it.
type Build struct {
	Version   string `json:"version"`
	Commit    string `json:"commit"`
	CommitAt  string `json:"commit_at"` // RFC 3339, "" when unknown
	Modified  bool   `json:"modified"`  // built from a changed checkout
	GoVersion string `json:"go_version"`
	OS        string `json:"os"`
	Arch      string `json:"arch"`
}

// UserAgent is how the program names itself to servers.
func (b Build) UserAgent() string { return "vers-fleet/" + b.Version }

func readBuild() Build {
	b := Build{Version: "devel", GoVersion: runtime.Version(), OS: runtime.GOOS, Arch: runtime.GOARCH}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return b
	}
	if v := info.Main.Version; v != "" && v != "(devel)" {
		b.Version = v
	}
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			b.Commit = s.Value
		case "vcs.time":
			b.CommitAt = s.Value
		case "vcs.modified":
			b.Modified = s.Value == "true"
		}
	}
	return b
}

func newVersionCommand(env *Env) *cobra.Command {
	c := &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Long: `Prints the version, the commit it was built from and the Go release.
The version comes from the tag that was built or installed.`,
		Example: `  vers-fleet version
  vers-fleet version -o json`,
		Args: noArgs,
		RunE: func(*cobra.Command, []string) error { return runVersion(env) },
	}
	return about(c, groupTool, "works", exitOK)
}

func runVersion(env *Env) error {
	b := env.Build
	return ui.Value{
		JSON: b,
		Name: b.Version,
		Text: func(t *ui.Text) {
			t.Line("vers-fleet %s", b.Version)
			if b.Commit != "" {
				changed := ""
				if b.Modified {
					changed = ", with local changes"
				}
				t.Line("commit %s of %s%s", b.Commit, b.CommitAt, changed)
			}
			t.Line("%s %s/%s", b.GoVersion, b.OS, b.Arch)
		},
	}.Print(env.Streams, env.Format())
}
