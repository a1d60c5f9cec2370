package remote

import (
	"io"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// selfRunning are names of files that shells, editors and other programs run or
// obey without being asked, as soon as somebody works where they lie.
func selfRunning() []string {
	return []string{
		".bashrc", ".bash_profile", ".bash_login", ".bash_logout", ".bash_aliases", ".profile", ".zshrc", ".zshenv", ".zprofile", ".zlogin", ".zlogout",
		".kshrc", ".cshrc", ".tcshrc", ".login", ".xinitrc", ".xsession", ".xprofile",
		".envrc", ".mise.toml", "authorized_keys", "authorized_keys2", ".gitconfig", ".mcp.json",
		".vimrc", ".exrc", ".nvimrc", ".nvim.lua", ".emacs", ".dir-locals.el", ".tmux.conf", ".screenrc", ".gdbinit", ".lldbinit", ".npmrc", ".pdbrc",
	}
}

// selfRunningFolders are the same of folders, with all that is in them.
func selfRunningFolders() []string {
	return []string{".vscode", ".idea", ".devcontainer", ".husky", ".ssh", ".claude", ".cursor", ".emacs.d",
		".config/fish", ".config/nvim", ".config/git", ".config/autostart", ".config/systemd", "Library/LaunchAgents"}
}

// notable tells whether a name that arrives is to be told, because other programs
// act on it by themselves. Of git's configuration that depends on what is in it:
// see bewareOf.
func notable(rel string) bool {
	dir, base := path.Split("/" + rel)
	switch {
	case slices.Contains(selfRunning(), base):
		return true
	case strings.HasSuffix(dir, ".git/hooks/"):
		return !strings.HasSuffix(base, ".sample")
	case isGitConfig(rel):
		return true
	}
	return slices.ContainsFunc(selfRunningFolders(), func(f string) bool { return strings.Contains(dir, "/"+f+"/") })
}

func isGitConfig(rel string) bool {
	return strings.HasSuffix("/"+rel, ".git/config") || strings.HasSuffix("/"+rel, ".git/config.worktree")
}

// bewareOf leaves of what was notable what is dangerous: every clone has a
// .git/config, and few of them name commands.
func bewareOf(dest string, names []string) []string {
	out := []string{}
	for _, rel := range names {
		if !isGitConfig(rel) || gitConfigRuns(filepath.Join(dest, filepath.FromSlash(rel))) {
			out = append(out, rel)
		}
	}
	return out
}

// gitConfigRuns reports whether a configuration of git names a command, a folder
// of hooks or a further file; one that cannot be read counts as such.
func gitConfigRuns(file string) bool {
	f, err := os.Open(file)
	if err != nil {
		return true
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, 1<<20))
	return err != nil || len(text) == 1<<20 || gitRuns().Match(text)
}

// gitRuns matches variables of git-config(1) whose values git runs, or reads
// more configuration from; those of [alias] and of filters have any name.
func gitRuns() *regexp.Regexp {
	return regexp.MustCompile(`(?im)^\s*(\[\s*(alias|include|includeif|filter|credential|gpg|pager|mergetool|difftool|browser|uploadpack)\b|` +
		`(\[[^\]]*\])?\s*(fsmonitor|sshcommand|hookspath|pager|editor|sequence|askpass|gitproxy|external|textconv|command|driver|cmd|program|` +
		`helper|uploadpack|receivepack|vcs|alternaterefscommand|worktree|packobjectshook|tool)\s*(=|$))`)
}
