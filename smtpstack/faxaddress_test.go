package smtpstack

import (
	"errors"
	"strings"
	"testing"
)

func TestParseFaxAddress(t *testing.T) {
	tests := []struct {
		in   string
		want FaxAddress
		err  error
	}{
		{in: "15551234567", want: FaxAddress{Number: "15551234567"}},
		{in: "+15551234567", want: FaxAddress{Number: "+15551234567"}},
		{in: "+1-555-123.4567", want: FaxAddress{Number: "+15551234567"}},
		{in: "+1 (555) 123 4567", want: FaxAddress{Number: "+15551234567"}},
		{in: "(030) 123456", want: FaxAddress{Number: "030123456"}},
		{in: "+49 (0)30 123456", want: FaxAddress{Number: "+4930123456"}},
		{in: "49 (0)30", want: FaxAddress{Number: "49030"}},
		{in: "FAX=+15551234567", want: FaxAddress{Number: "+15551234567"}},
		{in: "fax=+1-555-1234567/t33s=123", want: FaxAddress{Number: "+15551234567", Subaddress: "123", Options: Options{Subaddress: "123"}}},
		{in: "/FAX=+15551234567/T33S=123/", want: FaxAddress{Number: "+15551234567", Subaddress: "123", Options: Options{Subaddress: "123"}}},
		{in: "FAX=123/ATTN=Jane Doe/OFNO=7", want: FaxAddress{Number: "123", Name: "Jane Doe"}},
		{in: "FAX=123/ORG=Contoso/ATTN=Jane", want: FaxAddress{Number: "123", Name: "Jane"}},
		{in: "IMCEAFAX-+2B1+20+28555+29+20123-4567", want: FaxAddress{Number: "+15551234567"}},
		{in: "imceafax-Jane+20Doe+40+2B1+20555+201234567", want: FaxAddress{Number: "+15551234567", Name: "Jane Doe"}},
		{in: "IMCEAFAX-FAX+3D+2B15551234567_T33S+3D42", want: FaxAddress{Number: "+15551234567", Subaddress: "42", Options: Options{Subaddress: "42"}}},
		{in: "FAX=123/POST=99", err: ErrFaxSyntax},
		{in: "FAX=123/OPT=fine", err: ErrFaxSyntax},
		{in: "FAX=123.fine/T33S=7", want: FaxAddress{Number: "123", Subaddress: "7", Options: Options{Resolution: "fine", Subaddress: "7"}}},
		{in: "FAX=123.sub=8/T33S=7", err: ErrOptionTwice},
		{in: "FAX=123.to=Joe/ATTN=Jane", want: FaxAddress{Number: "123", Name: "Joe", Options: Options{To: "Joe"}}},
		{in: "5551234.fine", want: FaxAddress{Number: "5551234", Options: Options{Resolution: "fine"}}},
		{in: "555.1234.FINE.NoCover", want: FaxAddress{Number: "5551234", Options: Options{Resolution: "fine", Cover: Off}}},
		{in: "+1-555.123.dpi400.cover", want: FaxAddress{Number: "+1555123", Options: Options{Resolution: "400", Cover: On}}},
		{in: "5551234.to=Jane_Doe.sub=99", want: FaxAddress{Number: "5551234", Name: "Jane Doe", Subaddress: "99", Options: Options{To: "Jane Doe", Subaddress: "99"}}},
		{in: "IMCEAFAX-Bob+40555.standard", want: FaxAddress{Number: "555", Name: "Bob", Options: Options{Resolution: "standard"}}},
		{in: "5551234.finest", err: ErrOption},
		{in: "5551234.fine=1", err: ErrOption},
		{in: "5551234.fine.567", err: ErrOption},
		{in: "5551234.fine.", err: ErrOption},
		{in: "5551234.fine..cover", err: ErrOption},
		{in: "5551234.to", err: ErrOption},
		{in: "5551234.to=", err: ErrOption},
		{in: "5551234.to=_", err: ErrOption},
		{in: "5551234.sub=", err: ErrSubaddress},
		{in: "5551234.sub=1a", err: ErrSubaddress},
		{in: "5551234.ü", err: ErrOption},
		{in: "5551234.fine.fine", err: ErrOptionTwice},
		{in: "5551234.fine.standard", err: ErrOptionTwice},
		{in: "5551234.cover.nocover", err: ErrOptionTwice},
		{in: "5551234.to=a.to=b", err: ErrOptionTwice},
		{in: "5551234" + strings.Repeat(".to=x", 9), err: ErrOption},
		{in: ".fine", err: ErrNoNumber},
		{in: "5551234fine", err: ErrNumberCharacter},
		{in: "5551234-fine", err: ErrNumberCharacter},
		{in: "", err: ErrNoNumber},
		{in: "+", err: ErrNoNumber},
		{in: "()", err: ErrNoNumber},
		{in: "jane.doe", err: ErrNumberCharacter},
		{in: "1+2", err: ErrNumberCharacter},
		{in: "++1", err: ErrNumberCharacter},
		{in: "555#1", err: ErrNumberCharacter},
		{in: "٥٥٥", err: ErrNumberCharacter},
		{in: "FAX=", err: ErrNoNumber},
		{in: "FAX=1/T33S=", err: ErrSubaddress},
		{in: "FAX=1/T33S=12a", err: ErrSubaddress},
		{in: "FAX=1/nonsense", err: ErrFaxSyntax},
		{in: "FAX=1/T33S=" + strings.Repeat("1", 21), err: ErrNumberLength},
		{in: "IMCEAFAX-+2", err: ErrFaxSyntax},
		{in: "IMCEAFAX-+ZZ1", err: ErrFaxSyntax},
		{in: strings.Repeat("1", 32), want: FaxAddress{Number: strings.Repeat("1", 32)}},
		{in: "+" + strings.Repeat("1", 32), want: FaxAddress{Number: "+" + strings.Repeat("1", 32)}},
		{in: strings.Repeat("1", 33), err: ErrNumberLength},
		{in: strings.Repeat("-", 513), err: ErrFaxSyntax},
	}
	for _, tt := range tests {
		got, err := ParseFaxAddress(tt.in)
		if !errors.Is(err, tt.err) || (err == nil) != (tt.err == nil) {
			t.Errorf("ParseFaxAddress(%q): error %v, want %v", tt.in, err, tt.err)
			continue
		}
		if err == nil && got != tt.want {
			t.Errorf("ParseFaxAddress(%q) = %+v, want %+v", tt.in, got, tt.want)
		}
	}
}

func TestParseNumber_NamesTheCharacter(t *testing.T) {
	_, err := ParseNumber("555x1")
	if err == nil || !strings.Contains(err.Error(), `'x' at position 4`) {
		t.Errorf("error %v does not name the character and its place", err)
	}
}

func TestSplitAddress(t *testing.T) {
	tests := []struct{ in, local, domain string }{
		{"a@B.example", "a", "b.example"},
		{"a@b.example.", "a", "b.example"},
		{`"+1 (555) 1"@fax.example`, "+1 (555) 1", "fax.example"},
		{`"a@b\"c"@d`, `a@b"c`, "d"},
		{"FAX=+1/T33S=2@fax.example", "FAX=+1/T33S=2", "fax.example"},
		{"a@[192.0.2.1]", "a", "[192.0.2.1]"},
		{"a@[IPv6:2001:db8::1]", "a", "[ipv6:2001:db8::1]"},
		{"a@bücher.example", "a", "bücher.example"},
		{in: "postmaster"}, {in: "@b"}, {in: "a@"}, {in: `""@b`}, {in: `"a"b"@c`}, {in: "a b@c"}, {in: "a@b c"},
		{in: "a\r\nb@c"}, {in: "a@b\r\nRCPT"}, {in: `"a` + "\n" + `"@c`}, {in: `"a\"@b`}, {in: strings.Repeat("a", 320) + "@b"},
		{in: "<a>@b"}, {in: "a@b>c"}, {in: "a@."}, {in: "a@["}, {in: "a@[x]"}, {in: "a@[::1]"}, {in: "a@[ipv6:fe80::1%eth0]"}, {in: "a@b!c"}, {in: "a@.b"}, {in: "a@b..c"},
	}
	for _, tt := range tests {
		local, domain, err := SplitAddress(tt.in)
		if tt.local == "" {
			if !errors.Is(err, ErrAddressSyntax) {
				t.Errorf("SplitAddress(%q) = %q, %q, %v, want ErrAddressSyntax", tt.in, local, domain, err)
			}
			continue
		}
		if err != nil || local != tt.local || domain != tt.domain {
			t.Errorf("SplitAddress(%q) = %q, %q, %v", tt.in, local, domain, err)
		}
	}
}

func FuzzParseFaxAddress(f *testing.F) {
	for _, s := range []string{"+1-555", "FAX=+1/T33S=2/ATTN=x", "IMCEAFAX-J+20D+40+2B1+20(0)", "+49 (0)30", "_/+", "IMCEAFAX-IMCEAFAX-1", "1.fine.to=J_D.sub=1.nocover"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		a, err := ParseFaxAddress(s)
		if err != nil {
			return
		}
		digits := strings.TrimPrefix(a.Number, "+")
		if digits == "" || strings.Trim(digits, "0123456789") != "" || len(digits) > MaxNumberDigits {
			t.Errorf("number %q from %q", a.Number, s)
		}
		if strings.Trim(a.Subaddress, "0123456789") != "" || len(a.Subaddress) > MaxSubaddressDigits {
			t.Errorf("subaddress %q from %q", a.Subaddress, s)
		}
		if strings.ContainsAny(a.Name, "\r\n\x00") || len(a.Name) > maxName {
			t.Errorf("name %q from %q", a.Name, s)
		}
		checkOptions(t, s, a.Options)
		if again, err := ParseFaxAddress(a.Number); err != nil || again.Number != a.Number {
			t.Errorf("number %q does not parse to itself: %+v, %v", a.Number, again, err)
		}
	})
}

func FuzzSplitAddress(f *testing.F) {
	for _, s := range []string{"a@b", `"a b"@c.d`, `"\"@"@x`, "a@[1.2.3.4]"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		local, domain, err := SplitAddress(s)
		if err == nil && (local == "" || domain == "" || strings.ContainsAny(local+domain, "\r\n\x00")) {
			t.Errorf("SplitAddress(%q) = %q, %q", s, local, domain)
		}
	})
}
