package directory

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/tipring/tipring/appliance/store"
)

func TestDevices(t *testing.T) {
	st, err := store.Open(t.TempDir(), store.Options{Reserve: -1})
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	d := NewDevices(st)
	made, err := d.Put(Device{Name: "Scan-1", Senders: []string{"scan@contoso.com"}, Note: "third floor"}, "")
	if err != nil {
		t.Fatal(err)
	}
	given, err := d.Put(Device{Name: "app", Senders: []string{"contoso.com", "*"}}, "pässword ☎")
	if err != nil || given != "pässword ☎" {
		t.Fatal(given, err)
	}
	ctx := context.Background()
	for _, c := range []struct {
		name, password string
		want           error
	}{
		{"scan-1", made, nil}, {"SCAN-1", made, nil}, {"app", given, nil},
		{"scan-1", given, ErrPassword}, {"scan-1", "", ErrPassword}, {"nobody", made, ErrPassword}, {"", "", ErrPassword}, {"scan-1", strings.ToUpper(made), ErrPassword},
		{"scan-1", strings.Repeat("x", 100_000), ErrPassword}, {"nobody", "", ErrPassword},
	} {
		if err := d.Verify(ctx, c.name, c.password); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
	}
	list, err := d.List()
	if err != nil || len(list) != 2 || list[0].Hash+list[1].Hash != "" || list[1].Name != "scan-1" {
		t.Errorf("%+v, %v", list, err)
	}
	if v, err := d.Get("SCAN-1"); err != nil || v.Hash != "" || !slices.Equal(v.Senders, []string{"scan@contoso.com"}) {
		t.Errorf("%+v, %v", v, err)
	}
	if again, err := d.Put(Device{Name: "scan-1", Senders: []string{"scan@contoso.com"}}, ""); err != nil || again == made || d.Verify(ctx, "scan-1", made) == nil {
		t.Error("the old password is still good")
	}
	if err := d.Remove("Scan-1"); err != nil || !errors.Is(d.Remove("scan-1"), store.ErrNotFound) || !errors.Is(d.Verify(ctx, "scan-1", made), ErrPassword) {
		t.Errorf("removed: %v", err)
	}
	canceled, cancel := context.WithCancel(ctx)
	cancel()
	for range hashSlots {
		d.slots <- struct{}{}
	}
	if err := d.Verify(canceled, "app", given); !errors.Is(err, context.Canceled) {
		t.Errorf("with no slot: %v", err)
	}
}

func TestDevices_Refused(t *testing.T) {
	st, err := store.Open(t.TempDir(), store.Options{Reserve: -1})
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	d := NewDevices(st)
	ok := []string{"scan@contoso.com"}
	for name, c := range map[string]struct {
		v        Device
		password string
	}{
		"no name": {Device{Senders: ok}, ""}, "a name with a space": {Device{Name: "a b", Senders: ok}, ""}, "a name with a line": {Device{Name: "a\nb", Senders: ok}, ""},
		"no sender": {Device{Name: "a"}, ""}, "a sender of nothing": {Device{Name: "a", Senders: []string{"a b"}}, ""},
		"a short password": {Device{Name: "a", Senders: ok}, "1234567"}, "a long one": {Device{Name: "a", Senders: ok}, strings.Repeat("x", 256)},
		"a password with a NUL": {Device{Name: "a", Senders: ok}, "1234567\x00"}, "a note of two lines": {Device{Name: "a", Senders: ok, Note: "a\nb"}, ""},
	} {
		if _, err := d.Put(c.v, c.password); !errors.Is(err, ErrDevice) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if list, _ := d.List(); len(list) != 0 {
		t.Errorf("%+v", list)
	}
}

// A hash is argon2id with a salt of its own; one that was tampered with has no password, not any.
func TestHashPassword(t *testing.T) {
	a, b := hashPassword("secret"), hashPassword("secret")
	if a == b || !strings.HasPrefix(a, "$argon2id$v=19$m=19456,t=2,p=1$") {
		t.Errorf("%s, %s", a, b)
	}
	for _, s := range []string{"", "$argon2id$", a[:len(a)-1], a + "A", strings.Replace(a, "19456", "8", 1), hashPrefix + "$", hashPrefix + "AAAAAAAAAAAAAAAAAAAAAA$"} {
		if _, sum := readHash(s); sum != nil {
			t.Errorf("%q is taken for a hash", s)
		}
	}
	seen := map[string]bool{}
	for range 100 {
		if p := NewPassword(); len(p) != 23 || seen[p] {
			t.Errorf("password %q", p)
		} else {
			seen[p] = true
		}
	}
}
