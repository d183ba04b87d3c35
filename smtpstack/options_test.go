package smtpstack

import (
	"errors"
	"slices"
	"strings"
	"testing"
)

func TestParseSubject(t *testing.T) {
	tests := []struct {
		in, rest string
		want     Options
		err      error
	}{
		{in: "", rest: ""},
		{in: "Order [4711]", rest: "Order [4711]"},
		{in: "[fax] fine", rest: "[fax] fine"},
		{in: "Order 4711 [fax: fine, nocover, to=Dr. Jane Doe]", rest: "Order 4711", want: Options{Resolution: "fine", Cover: Off, To: "Dr. Jane Doe"}},
		{in: "Re: [FAX:Superfine] Order", rest: "Re: Order", want: Options{Resolution: "superfine"}},
		{in: "[ fax : sub = 77 ]", rest: "", want: Options{Subaddress: "77"}},
		{in: "a [fax: finest] b", rest: "a [fax: finest] b", err: ErrOption},
		{in: "a [fax:]", rest: "a [fax:]", err: ErrOption},
		{in: "a [fax: fine,]", rest: "a [fax: fine,]", err: ErrOption},
		{in: "a [fax: fine, standard]", rest: "a [fax: fine, standard]", err: ErrOptionTwice},
		{in: "a [fax: fine", rest: "a [fax: fine", err: ErrOptionSyntax},
		{in: "[fax: fine] [fax: cover]", rest: "[fax: fine] [fax: cover]", err: ErrOptionSyntax},
		{in: "[fax: fine [fax: cover]", rest: "[fax: fine [fax: cover]", err: ErrOptionSyntax},
	}
	for _, tt := range tests {
		rest, o, err := ParseSubject(tt.in)
		if rest != tt.rest || o != tt.want || !errors.Is(err, tt.err) || (err == nil) != (tt.err == nil) {
			t.Errorf("ParseSubject(%q) = %q, %+v, %v", tt.in, rest, o, err)
		}
	}
}

func TestOptions_RefusedByName(t *testing.T) {
	for in, name := range map[string]string{"555.fine.urgent": "urgent", "555.fine.nocover.cover": "cover", "FAX=1/ISUB=3": "ISUB", "555.x\r\ny": "x"} {
		_, err := ParseFaxAddress(in)
		if err == nil || !strings.Contains(err.Error(), `"`+name) || strings.ContainsAny(err.Error(), "\r\n") {
			t.Errorf("%q: %v does not name %q in one line", in, err, name)
		}
	}
}

func TestOptions_Over(t *testing.T) {
	subject := Options{Resolution: "fine", Cover: Off, To: "all", Subaddress: "1"}
	if got := (Options{}).Over(subject); got != subject {
		t.Errorf("nothing over the subject: %+v", got)
	}
	address := Options{Resolution: "standard", Cover: On, To: "Jane", Subaddress: "2"}
	if got := address.Over(subject); got != address {
		t.Errorf("the address over the subject: %+v", got)
	}
	if !Default.Or(true) || Default.Or(false) || !On.Or(false) || Off.Or(true) {
		t.Error("Choice.Or")
	}
}

// checkOptions: whatever was read, only known values come out.
func checkOptions(t *testing.T, in string, o Options) {
	t.Helper()
	if !slices.Contains([]string{"", "standard", "fine", "superfine", "r16", "200", "300", "400", "600"}, o.Resolution) {
		t.Errorf("resolution %q from %q", o.Resolution, in)
	}
	if o.Cover < Default || o.Cover > Off || len(o.To) > maxName || strings.ContainsAny(o.To, "\r\n\x00") {
		t.Errorf("options %+v from %q", o, in)
	}
	if strings.Trim(o.Subaddress, "0123456789") != "" || len(o.Subaddress) > MaxSubaddressDigits {
		t.Errorf("subaddress %q from %q", o.Subaddress, in)
	}
}

func FuzzParseSubject(f *testing.F) {
	for _, s := range []string{"x [fax: fine, to=a b] y", "[fax:[fax:]]", "[fax: sub=1,cover"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		rest, o, err := ParseSubject(s)
		if err != nil {
			if rest != s || o != (Options{}) {
				t.Errorf("%q changed in spite of %v", s, err)
			}
			return
		}
		checkOptions(t, s, o)
		if len(rest) > len(s) {
			t.Errorf("%q became %q", s, rest)
		}
	})
}

// FuzzOptions: digits and separators alone never make an option, an option never changes the number.
func FuzzOptions(f *testing.F) {
	f.Add("555.123", ".fine")
	f.Add("+1", ".to=1_2.sub=3")
	f.Fuzz(func(t *testing.T, number, options string) {
		n, err := ParseNumber(number)
		if err != nil {
			return
		}
		if a, err := ParseFaxAddress(number); err != nil || a.Options != (Options{}) || a.Number != n {
			t.Fatalf("%q: %+v, %v", number, a, err)
		}
		if len(options) < 2 || options[0] != '.' || options[1] < 'a' || options[1] > 'z' {
			return
		}
		if a, err := ParseFaxAddress(number + options); err == nil && (a.Number != n || a.Options == (Options{})) {
			t.Fatalf("%q + %q: %+v", number, options, a)
		}
	})
}
