package srs

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

var keyA, keyB = []byte("0123456789abcdef-a"), []byte("0123456789abcdef-b")

func newRewriter(t testing.TB, domain string, keys ...[]byte) *Rewriter {
	t.Helper()
	r, err := New(Config{Domain: domain, Keys: keys})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestRewriter_ThereAndBack(t *testing.T) {
	r := newRewriter(t, "Fax.Example.", keyA)
	for _, sender := range []string{"u@contoso.com", "U.Ser+tag=x@contoso.com", `"a b"@contoso.com`, `"a\"b"@contoso.com`, "ü@bücher.example", "a=b=c@x.example",
		"srs0@x.example", "SRS0x=y@x.example", "SRS1=a@x.example", "-u@x.example", "u@[192.0.2.1]"} {
		made, err := r.Forward(sender)
		if err != nil || !strings.HasPrefix(strings.TrimPrefix(made, `"`), "SRS0=") || !strings.HasSuffix(made, "@fax.example") {
			t.Errorf("%s: %s, %v", sender, made, err)
		}
		if back, err := r.Reverse(made); err != nil || back != sender {
			t.Errorf("%s came back from %s as %s, %v", sender, made, back, err)
		}
		if back, err := r.Reverse(strings.ToLower(made)); err != nil || !strings.EqualFold(back, sender) {
			t.Errorf("%s came back in lower case as %s, %v", sender, back, err)
		}
	}
	for _, same := range []string{"", "u@fax.example", "SRS0=abcd=AA=x.example=u@FAX.example"} {
		if got, err := r.Forward(same); err != nil || got != same {
			t.Errorf("%q became %q, %v", same, got, err)
		}
	}
	if _, err := r.Forward("no address"); err == nil {
		t.Error("rewrote what is no address")
	}
	if _, err := r.Forward(strings.Repeat("u", 250) + "@" + strings.Repeat("d", 60) + ".example"); !errors.Is(err, ErrTooLong) {
		t.Errorf("too long: %v", err)
	}
}

func TestRewriter_ThreeHops(t *testing.T) {
	one, two, three := newRewriter(t, "one.example", keyA), newRewriter(t, "two.example", keyB), newRewriter(t, "three.example", keyA)
	a, _ := one.Forward("u@contoso.com")
	b, _ := two.Forward(a)
	c, err := three.Forward(b)
	if err != nil || !strings.HasPrefix(b, "SRS1=") || !strings.Contains(b, "=one.example==") || !strings.HasPrefix(c, "SRS1=") || !strings.Contains(c, "=one.example==") {
		t.Fatalf("%s, %s, %s, %v", a, b, c, err)
	}
	// The way back skips the second host: that is what SRS1 is for.
	if back, err := three.Reverse(c); err != nil || back != a {
		t.Errorf("from three: %s, %v, want %s", back, err, a)
	}
	if back, err := one.Reverse(a); err != nil || back != "u@contoso.com" {
		t.Errorf("from one: %s, %v", back, err)
	}
	for _, address := range []string{a, b, c} {
		if got, ok := Original(address); !ok || got != "u@contoso.com" {
			t.Errorf("original of %s: %s, %v", address, got, ok)
		}
	}
}

func TestRewriter_KeysRotate(t *testing.T) {
	old := newRewriter(t, "fax.example", keyA)
	rotated, gone := newRewriter(t, "fax.example", keyB, keyA), newRewriter(t, "fax.example", keyB)
	made, _ := old.Forward("u@contoso.com")
	if back, err := rotated.Reverse(made); err != nil || back != "u@contoso.com" {
		t.Errorf("the old key does not verify any more: %s, %v", back, err)
	}
	if _, err := gone.Reverse(made); !errors.Is(err, ErrForged) {
		t.Errorf("a key that is gone: %v", err)
	}
	fresh, _ := rotated.Forward("u@contoso.com")
	if _, err := gone.Reverse(fresh); err != nil {
		t.Errorf("the first key does not sign: %v", err)
	}
}

func TestRewriter_Age(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRewriter(t, "fax.example", keyA)
		for range 3 * days / 22 { // also where the count of days starts anew
			made, err := r.Forward("u@contoso.com")
			if err != nil {
				t.Fatal(err)
			}
			time.Sleep(21*day + 23*time.Hour + 59*time.Minute)
			if _, err := r.Reverse(made); err != nil {
				t.Fatalf("after 21 days: %v", err)
			}
			time.Sleep(time.Minute)
			if _, err := r.Reverse(made); !errors.Is(err, ErrExpired) {
				t.Fatalf("after 22 days: %v", err)
			}
		}
		if r.young(stampOf(time.Now().Add(day)), time.Now()) {
			t.Error("a stamp of tomorrow is taken")
		}
	})
}

func TestRewriter_RefusesWhatItDidNotMake(t *testing.T) {
	r := newRewriter(t, "fax.example", keyA)
	made, _ := r.Forward("u@contoso.com")
	local, _, _ := strings.Cut(made, "@")
	hash := local[5:9]
	for address, want := range map[string]error{
		strings.Replace(made, "contoso", "contosa", 1):                          ErrForged,
		strings.Replace(made, "=u@", "=v@", 1):                                  ErrForged,
		strings.Replace(made, "=contoso", "A=contoso", 1):                       ErrForged,
		strings.Replace(made, "="+hash+"=", "="+hash[:3]+"=", 1):                ErrForged,
		strings.Replace(made, "="+hash+"=", "==", 1):                            ErrForged,
		strings.Replace(made, "="+hash+"=", "="+strings.Repeat("a", 40)+"=", 1): ErrForged,
		"SRS1=" + hash + "=one.example==" + local[5:] + "@fax.example":          ErrForged,
		local + "@other.example":                                                ErrNotSRS,
		"u@fax.example":                                                         ErrNotSRS,
		"SRS0=a@fax.example":                                                    ErrNotSRS,
		"SRS0=a=b=c@fax.example":                                                ErrNotSRS,
		"SRS0=a=b==c@fax.example":                                               ErrNotSRS,
		"SRS1=a=b@fax.example":                                                  ErrNotSRS,
		"SRS0@fax.example":                                                      ErrNotSRS,
		"":                                                                      ErrNotSRS,
		"SRS0=a=b=c d=e@fax.example":                                            ErrNotSRS,
	} {
		if got, err := r.Reverse(address); !errors.Is(err, want) {
			t.Errorf("%s: %s, %v, want %v", address, got, err, want)
		}
	}
}

func TestNew_Config(t *testing.T) {
	good := Config{Domain: "fax.example", Keys: [][]byte{keyA}}
	for name, change := range map[string]func(*Config){
		"no keys": func(c *Config) { c.Keys = nil }, "short key": func(c *Config) { c.Keys = [][]byte{keyA, []byte("short")} },
		"many keys": func(c *Config) { c.Keys = make([][]byte, 11) }, "no domain": func(c *Config) { c.Domain = "" },
		"literal": func(c *Config) { c.Domain = "[192.0.2.1]" }, "short hash": func(c *Config) { c.HashLength = 3 },
		"long hash": func(c *Config) { c.HashLength = 28 }, "young": func(c *Config) { c.MaxAge = time.Hour }, "old": func(c *Config) { c.MaxAge = 1000 * day },
	} {
		c := good
		change(&c)
		if _, err := New(c); !errors.Is(err, ErrConfig) {
			t.Errorf("%s: %v", name, err)
		}
	}
	good.HashLength = 12
	r, err := New(good)
	if err != nil {
		t.Fatal(err)
	}
	made, _ := r.Forward("u@contoso.com")
	if back, err := r.Reverse(made); err != nil || back != "u@contoso.com" || strings.IndexByte(made[5:], '=') != 12 {
		t.Errorf("%s, %s, %v", made, back, err)
	}
}

func TestOriginal(t *testing.T) {
	for address, want := range map[string]string{
		"john.work+SRS=44ldt=IX=tailspintoys.com=chris@contoso.com": "chris@tailspintoys.com",
		"a+b+srs=x=IX=Tailspintoys.com=ch=ris@contoso.com":          "ch=ris@tailspintoys.com",
		"SRS0+abcd=AA=x.example=u@y.example":                        "u@x.example",
		"SRS1=abcd=y.example=+abcd=AA=x.example=u@z.example":        "u@x.example",
		"bounces+SRS=44ldt=IX@contoso.com":                          "",
		"u@contoso.com":                                             "",
		"SRS1=abcd=y.example@z.example":                             "",
		"SRS0=a=b=c=d@x.example":                                    "",
		"+SRS=a=b=x.example=d@x.example":                            "",
		"not an address":                                            "",
	} {
		if got, ok := Original(address); got != want || ok != (want != "") {
			t.Errorf("%s: %q, %v, want %q", address, got, ok, want)
		}
	}
}

func TestNameless(t *testing.T) {
	for address, want := range map[string]bool{
		"bounces+SRS=44ldt=IX@contoso.com":                          true,
		"Bounces+srs=44ldt=IX@contoso.com":                          true,
		"bounces+SRS=44ldt=IX=tailspintoys.com=chris@contoso.com":   false,
		"john.work+SRS=44ldt=IX=tailspintoys.com=chris@contoso.com": false,
		"bounces+SRS=44ldt@contoso.com":                             false,
		"bounces+SRS==IX@contoso.com":                               false,
		"bounces@contoso.com":                                       false,
		"":                                                          false,
	} {
		if Nameless(address) != want {
			t.Errorf("%s: %v", address, !want)
		}
	}
}

func FuzzSRS(f *testing.F) {
	for _, s := range []string{"u@contoso.com", `"a b"@x.example`, "SRS0=abcd=AA=x.example=u@one.example", "SRS1=abcd=one.example==abcd=AA=x.example=u@two.example", "a+SRS=b=c=d.e=f@g"} {
		f.Add(s)
	}
	r := newRewriter(f, "fax.example", keyA, keyB)
	f.Fuzz(func(t *testing.T, s string) {
		if who, ok := Original(s); ok && Nameless(s) {
			t.Errorf("%q names %q and nobody", s, who)
		}
		if back, err := r.Reverse(s); err == nil {
			t.Errorf("%q leads to %q though nobody made it", s, back)
		}
		made, err := r.Forward(s)
		if err != nil || made == s {
			return
		}
		if _, err := r.Reverse(made); err != nil {
			t.Errorf("%q became %q: %v", s, made, err)
		}
	})
}
