package smtpstack

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"unicode/utf8"
)

// Options are what a person may ask for one fax, in the address or in the subject. The zero value asks for nothing.
//
// In the address they follow the number, each behind a dot. An option begins with a letter and a number never holds
// one, so neither can be taken for the other:
//
//	5551234.fine@fax.example
//	+1-555-123-4567.superfine.nocover@fax.example
//	5551234.to=Jane_Doe.fine@fax.example         in a name "_" is a space; a dot ends the name
//	FAX=+15551234567.fine/T33S=42@fax.example    in the FAX= form behind the number too
//
// In the subject they stand in one bracket that begins with "fax:", separated by commas, for all recipients of the
// mail; the bracket is taken out of the subject:
//
//	Your order 4711 [fax: fine, nocover, to=Dr. Jane Doe]
//
// The options, in capital or small letters:
//
//	standard, fine, superfine, r16             resolution: 3.85, 7.7 or 15.4 lines/mm; r16 is 16 pels/mm by 15.4 lines/mm
//	dpi200, dpi300, dpi400, dpi600             resolution in pels per 25.4 mm, both ways
//	cover, nocover                             a cover page, whatever the default is
//	to=NAME                                    the recipient's name on the cover page and in notices
//	sub=DIGITS                                 subaddress (T.33), at most 20 digits
//
// What is not in this list, is given twice, or contradicts another option is refused by its name: an option that
// somebody typed is never ignored. Where address and subject differ, the address holds for its recipient.
type Options struct {
	Resolution string // "standard", "fine", "superfine", "r16", "200", "300", "400", "600", or "" for the default
	Cover      Choice
	To         string // the recipient's name in one line, or ""
	Subaddress string // digits, or ""
}

// Choice is a switch that may be left alone.
type Choice int8

// The values of a Choice.
const (
	Default Choice = iota
	On
	Off
)

// Or is the choice itself, or def when it was left alone.
func (c Choice) Or(def bool) bool { return c == On || c == Default && def }

// Over returns o with everything that it leaves open taken from base: the address's options over the subject's.
func (o Options) Over(base Options) Options {
	if o.Resolution == "" {
		o.Resolution = base.Resolution
	}
	if o.Cover == Default {
		o.Cover = base.Cover
	}
	if o.To == "" {
		o.To = base.To
	}
	if o.Subaddress == "" {
		o.Subaddress = base.Subaddress
	}
	return o
}

var (
	// ErrOption is returned when a fax option is unknown, has no or a wrong value; the text names it.
	ErrOption = errors.New("fax option not understood")
	// ErrOptionTwice is returned when a fax option is given twice or contradicts another; the text names it.
	ErrOptionTwice = errors.New("fax option given twice")
	// ErrOptionSyntax is returned when a "[fax:" in the subject has no end, or there are two.
	ErrOptionSyntax = errors.New("malformed fax options")
)

// maxOptions is more than there are; it bounds the work on a hostile list.
const maxOptions = 8

var resolutionOptions = map[string]string{
	"standard": "standard", "fine": "fine", "superfine": "superfine", "r16": "r16",
	"dpi200": "200", "dpi300": "300", "dpi400": "400", "dpi600": "600",
}

// parseOptions reads a list of options. Errors are ErrOption, ErrOptionTwice and those of parseSubaddress.
func parseOptions(list []string) (Options, error) {
	var o Options
	if len(list) > maxOptions {
		return o, fmt.Errorf("%w: more than %d options", ErrOption, maxOptions)
	}
	for _, word := range list {
		if err := o.add(strings.TrimSpace(word)); err != nil {
			return Options{}, err
		}
	}
	return o, nil
}

func (o *Options) add(word string) error {
	key, value, valued := strings.Cut(word, "=")
	key = strings.ToLower(strings.TrimSpace(key))
	twice := false
	var err error
	switch resolution := resolutionOptions[key]; {
	case resolution != "" && !valued:
		twice = o.Resolution != ""
		o.Resolution = resolution
	case (key == "cover" || key == "nocover") && !valued:
		twice = o.Cover != Default
		if o.Cover = On; key == "nocover" {
			o.Cover = Off
		}
	case key == "to" && valued:
		twice = o.To != ""
		if o.To = cleanName(value); o.To == "" {
			err = fmt.Errorf("%w: %q has no name", ErrOption, "to=")
		}
	case key == "sub" && valued:
		twice = o.Subaddress != ""
		o.Subaddress, err = parseSubaddress(strings.TrimSpace(value))
	default:
		err = fmt.Errorf("%w: %q", ErrOption, shorten(printable(word)))
	}
	if err == nil && twice {
		err = fmt.Errorf("%w, or against another: %q", ErrOptionTwice, shorten(printable(word)))
	}
	return err
}

// printable keeps what a hostile word may hold out of an SMTP reply.
func printable(s string) string { return OneLine(strings.ToValidUTF8(s, "?")) }

// cutOptions divides "number.option.option" at the first dot with a letter behind it. Underscores in the options are
// spaces. Letters beyond ASCII count too, so that such a word is named as an option, not as a digit.
func cutOptions(s string) (number string, options []string) {
	for i := 0; i+1 < len(s); i++ {
		if c := s[i+1] | 0x20; s[i] == '.' && (c >= 'a' && c <= 'z' || s[i+1] >= utf8.RuneSelf) {
			return s[:i], strings.Split(strings.ReplaceAll(s[i+1:], "_", " "), ".")
		}
	}
	return s, nil
}

var subjectOptions = regexp.MustCompile(`(?i)\[\s*fax\s*:`)

// ParseSubject takes the options out of a decoded, one-line subject and returns the rest. A subject without "[fax:" is
// returned as it is. Errors are ErrOptionSyntax, ErrOption, ErrOptionTwice and those of subaddresses; the subject
// returned then still has its bracket.
func ParseSubject(subject string) (rest string, o Options, err error) {
	found := subjectOptions.FindAllStringIndex(subject, 2)
	if len(found) == 0 {
		return subject, Options{}, nil
	}
	if len(found) > 1 {
		return subject, Options{}, fmt.Errorf("%w: the subject has more than one [fax: ...]", ErrOptionSyntax)
	}
	before, inside := subject[:found[0][0]], subject[found[0][1]:]
	inside, after, closed := strings.Cut(inside, "]")
	if !closed {
		return subject, Options{}, fmt.Errorf("%w: the [fax: ... in the subject is not closed", ErrOptionSyntax)
	}
	if o, err = parseOptions(strings.Split(inside, ",")); err != nil {
		return subject, Options{}, err
	}
	before, after = strings.TrimSpace(before), strings.TrimSpace(after)
	if before != "" && after != "" {
		before += " "
	}
	return before + after, o, nil
}
