package modem

import (
	"strings"

	"github.com/tipring/tipring/modem/class1"
	"github.com/tipring/tipring/modem/phone"
)

// profile is what is known of one family of modems.
type profile struct {
	name   string
	match  []string // any of these in the identity, in lower case
	phone  phone.Quirks
	class1 class1.Quirks
}

// profiles are tried in this order; the last one takes every modem.
var profiles = []profile{
	// The soft modem of libspandsp 0.0.6 and what is built on it: CONNECT to +FTM comes before training, but the octets
	// are kept for it, so nothing has to wait.
	{name: "spandsp", match: []string{"spandsp"}},
	{name: "generic", match: []string{""}},
}

func profileFor(id Identity) profile {
	text := strings.ToLower(id.String())
	for _, p := range profiles {
		for _, m := range p.match {
			if strings.Contains(text, m) {
				return p
			}
		}
	}
	return profiles[len(profiles)-1]
}
