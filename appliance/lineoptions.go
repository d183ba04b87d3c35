package appliance

import (
	"fmt"
	"strings"

	"github.com/tipring/tipring/modem/phone"
	"github.com/tipring/tipring/t30"
)

// PhoneConfig is how a line's modem uses the telephone line.
type PhoneConfig struct {
	Prefix   string `toml:"prefix"`    // dialed before every number; empty: as [dial] has it; "none": nothing
	Pulse    bool   `toml:"pulse"`     // dial with pulses, not tones
	Speaker  bool   `toml:"speaker"`   // the modem's loudspeaker is on until the far end answers
	Country  string `toml:"country"`   // ISO 3166 code for the modem (+GCI), or # and the T.35 code; empty: the modem's own setting stays
	DialTone string `toml:"dial_tone"` // wait: nothing is dialed without one; blind: dialed after a pause
	Shared   bool   `toml:"shared"`    // a telephone is on the same line
	Answer   string `toml:"answer"`    // fax: every call is one; adaptive: the modem tells fax, data and voice apart
	Hunt     int    `toml:"hunt"`      // of the idle lines, the one with the lowest number calls
	// DIDDigits is how many digits the exchange sends by DTMF after the answer; it takes a modem with a voice mode.
	DIDDigits int `toml:"did_digits"`
	// Ringing tells several numbers on the line apart by their distinctive rings.
	Ringing []RingConfig `toml:"ring"`
}

// RingConfig is one distinctive ring.
type RingConfig struct {
	Pattern string `toml:"pattern"` // as the modem reports it: "A", "2", or durations, "8-4-8" in 0.1 s
	Number  string `toml:"number"`  // of ours that rings so: counts as the dialed one in routes
	Ignore  bool   `toml:"ignore"`  // not for us: let it ring
}

const (
	// sharedRings is how long people have to answer on a line with a telephone, where rings is not given.
	sharedRings = 4
	noPrefix    = "none"
	maxHunt     = 100
	maxPatterns = 16
	maxPrefix   = 30
)

// phoneDefaults are those of keys that are left out.
func (c *PhoneConfig) phoneDefaults() {
	if c.DialTone == "" {
		c.DialTone = "wait"
	}
	if c.Answer == "" {
		c.Answer = "fax"
	}
}

func (c PhoneConfig) validate(v *faults, at string) {
	v.need(c.Prefix == noPrefix || validPrefix(c.Prefix), "%s: prefix %q: use digits, *, #, comma, w, !, t and p, or \"none\"", at, c.Prefix)
	_, known := phone.CountryCode(c.Country)
	v.need(c.Country == "" || known, "%s: country %q: use a two-letter code like US, or # and the modem's own code in hexadecimal, \"#B5\"", at, c.Country)
	v.need(oneOf(c.DialTone, "wait", "blind"), "%s: dial_tone %q: use wait or blind", at, c.DialTone)
	v.need(!c.Shared || c.DialTone == "wait", "%s: shared and dial_tone = \"blind\" together would dial into people's calls: leave dial_tone out", at)
	v.need(oneOf(c.Answer, "fax", "adaptive"), "%s: answer %q: use fax or adaptive", at, c.Answer)
	v.need(c.Hunt >= 0 && c.Hunt <= maxHunt, "%s: hunt = %d: use 0 to %d", at, c.Hunt, maxHunt)
	v.need(c.DIDDigits >= 0 && c.DIDDigits <= phone.MaxDTMF, "%s: did_digits = %d: use 1 to %d, or 0 for a line without direct inward dialing", at, c.DIDDigits, phone.MaxDTMF)
	v.need(len(c.Ringing) <= maxPatterns, "%s: %d distinctive rings: at most %d", at, len(c.Ringing), maxPatterns)
	seen := map[string]bool{}
	for i, r := range c.Ringing {
		at := fmt.Sprintf("%s, [[line.ring]] number %d", at, i+1)
		v.need(phone.ValidPattern(r.Pattern), "%s: pattern %q: use a letter or number as the modem shows it (A, 2), or durations in tenths of a second (\"8-4-8\")", at, r.Pattern)
		v.need(!seen[r.Pattern], "%s: pattern %q is there twice", at, r.Pattern)
		v.need(r.Ignore || r.Number != "", "%s: give the number that rings so, or ignore = true", at)
		v.need(validStation(r.Number), "%s: number %q: up to 20 digits, + and spaces", at, r.Number)
		seen[r.Pattern] = true
	}
}

func validPrefix(s string) bool {
	return len(s) <= maxPrefix && strings.Trim(s, "0123456789*#,w!tp") == ""
}

// dialPrefix is dialed before every number on the line.
func (c PhoneConfig) dialPrefix(all string) string {
	switch c.Prefix {
	case "":
		return all
	case noPrefix:
		return ""
	}
	return c.Prefix
}

// phone is how the line's modem is to be used.
func (c PhoneConfig) phone() phone.Config {
	return phone.Config{Pulse: c.Pulse, Speaker: c.Speaker, Country: c.Country, BlindDial: c.DialTone == "blind", Shared: c.Shared, Patterns: len(c.Ringing) > 0, DTMFDigits: c.DIDDigits}
}

func (c PhoneConfig) answerMode() t30.AnswerMode {
	if c.Answer == "adaptive" {
		return t30.AnswerAdaptive
	}
	return t30.AnswerFax
}

// ringing is the rule for a distinctive ring; none for a plain one and those that nobody told of.
func (c PhoneConfig) ringing(pattern string) (RingConfig, bool) {
	for _, r := range c.Ringing {
		if phone.MatchPattern(r.Pattern, pattern) {
			return r, true
		}
	}
	return RingConfig{}, false
}
