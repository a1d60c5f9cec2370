package keystore

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"testing"
)

// What lies in a sealed folder is in the clear exactly as long as the keys are.
func TestSealedFolder(t *testing.T) {
	dir := t.TempDir()
	file, _ := identityFile(t, filepath.Join(dir, "id.txt"))
	other, _ := identityFile(t, filepath.Join(dir, "other.txt"))
	s := openTest(t, filepath.Join(dir, "p"), Options{IdentityFile: file})
	fleetOf(t, s, 2)
	words := s.Sealed("words")
	if _, err := words.Read("a"); !IsNotFound(err) {
		t.Errorf("none yet: %v", err)
	}
	put := func(text string) {
		t.Helper()
		must(t, words.Update(t.Context(), "a", func(old []byte) ([]byte, error) { return append(old, text...), nil }))
	}
	want := func(s *Store, text string, inTheClear bool) {
		t.Helper()
		got, err := s.Sealed("words").Read("a")
		if err != nil || string(got) != text {
			t.Errorf("%q, %v; want %q", got, err, text)
		}
		raw, err := os.ReadFile(s.path("sealed-words", "a.json"))
		if err != nil || bytes.Contains(raw, []byte("one")) != inTheClear {
			t.Errorf("in the clear, want %t: %.60q, %v", inTheClear, raw, err)
		}
	}
	put("one")
	want(s, "one", true)
	must(t, s.Encrypt(t.Context(), EncryptOptions{IdentityFile: file}))
	want(s, "one", false)
	put(" two")
	want(s, "one two", false)
	must(t, s.Rekey(t.Context(), EncryptOptions{IdentityFile: other}))
	s = openTest(t, filepath.Join(dir, "p"), Options{IdentityFile: other})
	want(s, "one two", false)
	stranger := openTest(t, filepath.Join(dir, "p"), Options{})
	if _, err := stranger.Sealed("words").Read("a"); KindOf(err) != KindSealed {
		t.Errorf("without the identity: %v", err)
	}
	if err := stranger.Sealed("words").Update(context.Background(), "a", func([]byte) ([]byte, error) { return []byte("lost"), nil }); KindOf(err) != KindSealed {
		t.Errorf("written without the identity: %v", err)
	}
	must(t, s.Decrypt(t.Context(), nil))
	want(s, "one two", true)
	must(t, s.Sealed("words").Remove(t.Context(), "a"))
	if _, err := s.Sealed("words").Read("a"); !IsNotFound(err) {
		t.Errorf("removed: %v", err)
	}
}
