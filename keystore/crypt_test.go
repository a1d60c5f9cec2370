package keystore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"filippo.io/age"
	"github.com/zalando/go-keyring"
)

// identityFile writes a new age identity and returns its path and recipient.
func identityFile(t *testing.T, path string) (string, string) {
	t.Helper()
	id, err := age.GenerateX25519Identity()
	must(t, err)
	must(t, os.WriteFile(path, []byte("# test\n"+id.String()+"\n"), 0o600))
	return path, id.Recipient().String()
}

// fleetOf puts n VMs, the last one with a predecessor.
func fleetOf(t *testing.T, s *Store, n int) {
	t.Helper()
	for i := range n {
		mustPut(t, s, testID(i), testPEM(testID(i)))
		must(t, s.PinHostKey(testID(i), testHostKey(testID(i)), true, nil))
	}
	mustPut(t, s, testID(n-1), testPEM("older"))
	mustPut(t, s, testID(n-1), testPEM(testID(n-1)))
}

func wantFleet(t *testing.T, s *Store, n int) {
	t.Helper()
	for i := range n {
		wantKey(t, s, testID(i), testPEM(testID(i)))
	}
	if c, err := s.Candidates(testID(n - 1)); err != nil || len(c) != 2 || !bytes.Equal(c[1], testPEM("older")) {
		t.Fatalf("the predecessor is lost: %d, %v", len(c), err)
	}
}

// wantNoPlain checks that no file of the store holds a key in the clear.
func wantNoPlain(t *testing.T, s *Store) {
	t.Helper()
	err := filepath.Walk(s.Dir(), func(path string, info os.FileInfo, err error) error {
		if err != nil || info.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		if bytes.Contains(data, []byte("PRIVATE KEY")) {
			t.Errorf("%s holds a key in the clear", path)
		}
		return err
	})
	must(t, err)
}

func TestEncryptWithIdentityFile(t *testing.T) {
	s := newTest(t)
	fleetOf(t, s, 3)
	file, recipient := identityFile(t, filepath.Join(t.TempDir(), "id"))
	wantKind(t, s.Encrypt(t.Context(), EncryptOptions{Recipients: []string{recipient}}), KindSealed)
	wantFleet(t, s, 3)
	must(t, s.Encrypt(t.Context(), EncryptOptions{IdentityFile: file}))
	wantNoPlain(t, s)

	locked := openTest(t, s.Dir(), testOptions())
	_, err := locked.key(testID(0))
	wantKind(t, err, KindSealed)
	mustPut(t, locked, testID(5), testPEM("new")) // only the recipient is needed
	wantNoPlain(t, s)
	open := openTest(t, s.Dir(), Options{IdentityFile: file})
	wantFleet(t, open, 3)
	wantKey(t, open, testID(5), testPEM("new"))
	findings, err := locked.Check()
	must(t, err)
	for _, f := range findings {
		if f.Severity == SeverityError {
			t.Fatalf("%+v", f)
		}
	}
	must(t, open.Decrypt(t.Context(), nil))
	wantFleet(t, openTest(t, s.Dir(), testOptions()), 3)
	wantClean(t, s.Dir())
	if names, _ := filepath.Glob(filepath.Join(s.Dir(), "keys", "*", "*"+ageSuffix)); len(names) > 0 {
		t.Fatalf("left: %v", names)
	}
}

func TestEncryptWithPassphrase(t *testing.T) {
	keyring.MockInit()
	asked := 0
	pass := "first"
	ask := func(string) ([]byte, error) { asked++; return []byte(pass), nil }
	s := newTest(t)
	fleetOf(t, s, 2)
	must(t, s.Encrypt(t.Context(), EncryptOptions{Passphrase: []byte("first")}))
	wantNoPlain(t, s)
	open := openTest(t, s.Dir(), Options{Passphrase: ask})
	wantFleet(t, open, 2)
	if asked != 1 {
		t.Fatalf("asked %d times", asked)
	}
	must(t, open.Rekey(t.Context(), EncryptOptions{Passphrase: []byte("second")}))
	_, err := openTest(t, s.Dir(), Options{Passphrase: ask}).key(testID(0))
	wantKind(t, err, KindSealed)
	pass = "second"
	open = openTest(t, s.Dir(), Options{Passphrase: ask})
	wantFleet(t, open, 2)
	must(t, open.SaveToKeyring())
	silent := openTest(t, s.Dir(), Options{Keyring: true})
	wantFleet(t, silent, 2)
	must(t, silent.Rekey(t.Context(), EncryptOptions{Passphrase: []byte("third")}))
	wantFleet(t, openTest(t, s.Dir(), Options{Keyring: true}), 2)
	must(t, silent.RemoveFromKeyring())
	_, err = openTest(t, s.Dir(), Options{Keyring: true}).key(testID(0))
	wantKind(t, err, KindSealed)
	must(t, silent.Decrypt(t.Context(), nil))
	wantFleet(t, openTest(t, s.Dir(), testOptions()), 2)
	if _, err := os.Lstat(s.path(fileIdentity)); err == nil {
		t.Fatal("identity.age is still there")
	}
}

// Whoever cannot open the keys gets one error, and changes nothing.
func TestDecryptWithoutIdentity(t *testing.T) {
	s := newTest(t)
	fleetOf(t, s, 3)
	must(t, s.Encrypt(t.Context(), EncryptOptions{Passphrase: []byte("one")}))
	s = openTest(t, s.Dir(), testOptions())
	err := s.Decrypt(t.Context(), nil)
	wantKind(t, err, KindSealed)
	if strings.Contains(err.Error(), "\n") {
		t.Errorf("more than one line: %v", err)
	}
	if enc, err := s.readConfig(); err != nil || enc.Changing || enc.Mode != modePassphrase {
		t.Errorf("left behind: %+v, %v", enc, err)
	}
}

func TestEncryptWithSSHKey(t *testing.T) {
	s := newTest(t)
	fleetOf(t, s, 2)
	file := filepath.Join(t.TempDir(), "id_ed25519")
	must(t, os.WriteFile(file, testPEM("my own"), 0o600))
	must(t, s.Encrypt(t.Context(), EncryptOptions{IdentityFile: file}))
	wantNoPlain(t, s)
	wantFleet(t, openTest(t, s.Dir(), Options{IdentityFile: file}), 2)
	must(t, os.Chmod(file, 0o644))
	_, err := openTest(t, s.Dir(), Options{IdentityFile: file}).key(testID(0))
	wantKind(t, err, KindTooOpen)
}

func TestRefusedEncryption(t *testing.T) {
	s := newTest(t)
	mustPut(t, s, testID(0), testPEM(testID(0)))
	junk := filepath.Join(t.TempDir(), "junk")
	must(t, os.WriteFile(junk, []byte("AGE-SECRET-KEY-1CANARY\n"), 0o600))
	for _, o := range []EncryptOptions{
		{}, {Recipients: []string{"age1nonsense"}}, {Recipients: []string{"ssh-ed25519 xx"}},
		{Passphrase: []byte("x"), IdentityFile: junk}, {IdentityFile: junk},
	} {
		err := s.Encrypt(t.Context(), o)
		wantKind(t, err, KindInvalid)
		if strings.Contains(fmt.Sprintf("%v %+v", err, err), "CANARY") {
			t.Fatal("the error shows the identity")
		}
	}
	wantKind(t, s.Rekey(t.Context(), EncryptOptions{Passphrase: []byte("x")}), KindInvalid)
	wantKey(t, s, testID(0), testPEM(testID(0)))
	enc, err := s.readConfig()
	if err != nil || enc.Mode != modePlain || enc.Changing {
		t.Fatalf("%+v, %v", enc, err)
	}
}

// TestKilledWhileEncrypting kills a process that encrypts, rekeys and decrypts
// all the time: every key stays readable, and a finished run leaves no copy.
func TestKilledWhileEncrypting(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "profile")
	var both []byte
	for i := range 2 {
		file, _ := identityFile(t, fmt.Sprintf("%s-identity%d", dir, i))
		data, err := os.ReadFile(file)
		must(t, err)
		both = append(both, data...)
	}
	must(t, os.WriteFile(dir+"-both", both, 0o600))
	fleetOf(t, openTest(t, dir, testOptions()), 5)
	for range torture(10, 300) {
		cmd, out := startChild(t, "crypt", dir)
		time.AfterFunc(time.Duration(rand.Int64N(int64(150*time.Millisecond))), func() { cmd.Process.Kill() })
		for out.Scan() {
		}
		cmd.Wait()
		s := openTest(t, dir, Options{IdentityFile: dir + "-both"})
		wantFleet(t, s, 5)
		wantClean(t, dir)
	}
	s := openTest(t, dir, Options{IdentityFile: dir + "-both"})
	must(t, s.Decrypt(t.Context(), nil))
	must(t, s.Encrypt(t.Context(), EncryptOptions{IdentityFile: dir + "-identity0"}))
	wantNoPlain(t, s)
	wantFleet(t, s, 5)
	wantClean(t, dir)
}

// TestInterruptedRekeyIsRunAgain stops a rekey half-way: until it is run again
// the new passphrase opens everything, and no identity in use is dropped.
func TestInterruptedRekeyIsRunAgain(t *testing.T) {
	keyring.MockInit()
	s := newTest(t)
	fleetOf(t, s, 3)
	must(t, s.Encrypt(t.Context(), EncryptOptions{Passphrase: []byte("one")}))
	with := func(pass string) *Store {
		return openTest(t, s.Dir(), Options{Keyring: true, Passphrase: func(string) ([]byte, error) { return []byte(pass), nil }})
	}
	must(t, with("one").SaveToKeyring())
	ctx, cancel := context.WithCancel(t.Context())
	err := with("one").Rekey(ctx, EncryptOptions{Passphrase: []byte("two"), Progress: func(int, int) { cancel() }})
	if !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	enc, err := s.readConfig()
	if err != nil || !enc.Changing {
		t.Fatalf("%+v, %v", enc, err)
	}
	wantFleet(t, with("two"), 3)
	must(t, with("two").Rekey(t.Context(), EncryptOptions{Passphrase: []byte("three")}))
	must(t, with("three").RemoveFromKeyring())
	wantFleet(t, with("three"), 3)
	unlock, err := s.lock(t.Context(), "crypt", true)
	must(t, err)
	defer unlock()
	wantKind(t, with("three").Decrypt(t.Context(), nil), KindLocked)
}

// Whoever opens a store as programs do pays age's price for a passphrase, and so
// does who guesses it.
func TestPassphraseCost(t *testing.T) {
	s, err := Open(filepath.Join(t.TempDir(), "p"), Options{ParseKey: testParse})
	must(t, err)
	r, err := s.scryptRecipient([]byte("pass"))
	must(t, err)
	stanzas, err := r.Wrap(make([]byte, 16))
	must(t, err)
	if work := stanzas[0].Args[1]; work != "18" {
		t.Errorf("work factor 2^%s, want 2^18", work)
	}
}
