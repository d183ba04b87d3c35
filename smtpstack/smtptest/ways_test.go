package smtptest_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
)

// way is how a connection is protected.
type way string

const (
	plain    way = "plain"    // no TLS
	starttls way = "starttls" // STARTTLS as it comes: the client does not know the certificate's issuer
	implicit way = "implicit" // TLS from the first octet, certificate verified
	verified way = "verified" // STARTTLS demanded, certificate verified
	mutual   way = "mutual"   // and a client certificate demanded

	// Nothing may arrive on these.
	wrongName way = "wrongname" // verified, but the certificate is for another name
	downgrade way = "downgrade" // the client demands TLS, which is not offered
	noCert    way = "nocert"    // mutual, but the client's certificate is not the one demanded
)

var ways = []way{plain, starttls, implicit, verified, mutual, wrongName, downgrade, noCert}

func (w way) domain() string { return string(w) + ".test" }

// Each way has a host with an address of its own: OpenSMTPD avoids an address for a while when something failed there.
func (w way) host() string { return string(w) + ".fax.test" }
func (w way) ip() string   { return fmt.Sprintf("127.0.0.%d", 10+slices.Index(ways, w)) }

// hosts is this machine by all its names.
func hosts() map[string]string {
	list := map[string]string{"peer.test": "127.0.0.1"}
	for _, w := range ways {
		list[w.host()] = w.ip()
	}
	return list
}

// The extensions that are looked for in every dialogue.
var extensions = []string{"pipelining", "chunking", "dsn", "size", "8bitmime", "smtputf8"}

// does checks what a peer was seen to do against what it is known not to do: neither may a feature be lost in silence, nor
// the table of what cannot be tested grow old.
func does(t *testing.T, cannot map[string]string, seen map[string]bool) {
	t.Helper()
	for _, e := range slices.Sorted(maps.Keys(seen)) {
		if reason, known := cannot[e]; known && seen[e] {
			t.Errorf("%s: seen, though the table says: %s", e, reason)
		} else if !known && !seen[e] {
			t.Errorf("%s: not seen", e)
		}
	}
}

func senderOf(peer string, w way) string {
	return fmt.Sprintf("%s-%s@example.com", strings.ToLower(peer), w)
}

// last is the end of a log.
func last(log string) string { return log[max(0, len(log)-8000):] }
