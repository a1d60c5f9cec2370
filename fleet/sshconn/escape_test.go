package sshconn

import "testing"

func TestEscaper(t *testing.T) {
	cases := []struct {
		name    string
		in      []string // pieces as they are read
		send    string
		actions []escapeAction
	}{
		{"plain", []string{"abc\r"}, "abc\r", nil},
		{"at the start", []string{"~."}, "", []escapeAction{escapeDisconnect}},
		{"after a return", []string{"a\r~?b"}, "a\rb", []escapeAction{escapeHelp}},
		{"after a newline", []string{"a\n~#"}, "a\n", []escapeAction{escapeList}},
		{"in pieces", []string{"\r", "~", ".", "x"}, "\rx", []escapeAction{escapeDisconnect}},
		{"not at the line's start", []string{"a~."}, "a~.", nil},
		{"twice is once", []string{"~~"}, "~", nil},
		{"twice, then text", []string{"~~.\r"}, "~.\r", nil},
		{"unknown goes through", []string{"~x~."}, "~x~.", nil},
		{"return after the escape", []string{"~\r~."}, "~\r", []escapeAction{escapeDisconnect}},
		{"two in a row", []string{"~?~#"}, "", []escapeAction{escapeHelp, escapeList}},
		{"suspend and break", []string{"~\x1a\r~B~C"}, "\r", []escapeAction{escapeSuspend, escapeBreak, escapeCommand}},
	}
	for _, c := range cases {
		e := newEscaper(0)
		var sent []byte
		var actions []escapeAction
		for _, piece := range c.in {
			for rest := []byte(piece); len(rest) > 0; {
				var send []byte
				var a escapeAction
				send, a, rest = e.next(rest)
				sent = append(sent, send...)
				if a != escapeNone {
					actions = append(actions, a)
				}
			}
		}
		if string(sent) != c.send || len(actions) != len(c.actions) {
			t.Errorf("%s: sent %q, actions %v", c.name, sent, actions)
			continue
		}
		for i := range actions {
			if actions[i] != c.actions[i] {
				t.Errorf("%s: actions %v", c.name, actions)
			}
		}
	}
	if newEscaper(NoEscape) != nil {
		t.Error("escapes are not off")
	}
	if _, a, _ := newEscaper('%').next([]byte("%.")); a != escapeDisconnect {
		t.Error("another escape character does not work")
	}
}
