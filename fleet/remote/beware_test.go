package remote

import "testing"

func TestNotable(t *testing.T) {
	for name, want := range map[string]bool{
		".bashrc": true, "a/.envrc": true, "a/.git/hooks/post-merge": true, "a/.git/hooks/post-merge.sample": false, "a/.git/config": true,
		".vscode/tasks.json": true, "a/.vscode/x/y": true, "vscode/x": false, ".ssh/config": true, "authorized_keys": true, "home/.config/fish/config.fish": true,
		"a/envrc": false, "notes.txt": false, ".git/HEAD": false, "config": false, "x.bashrc": false, "repo.git/hooks/update": true,
	} {
		if got := notable(name); got != want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestGitConfigThatRuns(t *testing.T) {
	for text, want := range map[string]bool{
		"[core]\n\trepositoryformatversion = 0\n\tfilemode = true\n\tbare = false\n\tlogallrefupdates = true\n[remote \"origin\"]\n\turl = git@x:y\n\tfetch = +refs/*\n" +
			"[branch \"main\"]\n\tremote = origin\n\tmerge = refs/heads/main\n[user]\n\tname = A\n\temail = a@b\n": false,
		"[core]\nfsmonitor=touch x": true, "[core] sshCommand = x": true, "[Core]\n  HooksPath = /x": true, "[alias]\n\tst = !x": true,
		"[include]\npath = /x": true, "[includeIf \"gitdir:/\"]\npath = x": true, "[filter \"x\"]\nclean = y": true, "[diff \"x\"]\ntextconv = y": true,
		"[remote \"x\"]\nuploadpack = y": true, "[core]\npager\n": true, "[gpg]\nprogram = x": true,
	} {
		if got := gitRuns().MatchString(text); got != want {
			t.Errorf("%q: %v", text, got)
		}
	}
}
