// Package srs is the Sender Rewriting Scheme: forwarded mail gets a MAIL FROM of our own domain, so that SPF passes, and
// what bounces to it finds the way back to the first sender, but only if it is an address we made and not long ago.
//
// It follows M. S. Wong, S. Mengwong, "The Sender Rewriting Scheme" (2003/2004) in the form that libsrs2 and postsrsd
// have in use: HMAC-SHA1 over the parts in lower case, cut to four characters of Base64; the day in two of Base32.
package srs

import (
	"cmp"
	"crypto/hmac"
	"crypto/sha1"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tipring/tipring/smtpstack"
)

const (
	day     = 24 * time.Hour
	days    = 1024 // the time stamp counts days modulo this
	maxKeys = 10
	base32  = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
	// longest is the most octets of an address made here. A local part may get longer than the 64 octets of RFC 5321
	// 4.5.3.1.1: that is so with every SRS, and servers take it.
	longest = 320
)

// Config of a Rewriter.
type Config struct {
	Domain     string        // ours, at which the rewritten addresses are
	Keys       [][]byte      // at least 16 octets each, at most 10; the first signs, all verify
	MaxAge     time.Duration // how long an address leads back, in whole days, default 21 days, at most 500
	HashLength int           // characters of the hash made and, at least, wanted: 4 to 27, default 4
}

// Rewriter makes and undoes addresses. It is safe for concurrent use.
type Rewriter struct {
	cfg Config
	age int // days
}

var (
	// ErrConfig is returned when a configuration makes no sense.
	ErrConfig = errors.New("srs: configuration")
	// ErrNotSRS is returned when an address to be undone is none of ours in form: mail for it is ordinary mail.
	ErrNotSRS = errors.New("not a rewritten sender address")
	// ErrForged is returned when an address has the form but not our hash.
	ErrForged = errors.New("rewritten sender address that was not made here")
	// ErrExpired is returned when an address was made too long ago.
	ErrExpired = errors.New("rewritten sender address that is too old")
	// ErrTooLong is returned when the rewritten address would be longer than 320 octets.
	ErrTooLong = errors.New("address is too long to be rewritten")
)

// New returns a Rewriter.
func New(cfg Config) (*Rewriter, error) {
	cfg.HashLength = cmp.Or(cfg.HashLength, 4)
	cfg.MaxAge = cmp.Or(cfg.MaxAge, 21*day)
	switch {
	case len(cfg.Keys) == 0 || len(cfg.Keys) > maxKeys:
		return nil, fmt.Errorf("%w: %d keys, want 1 to %d", ErrConfig, len(cfg.Keys), maxKeys)
	case slices.ContainsFunc(cfg.Keys, func(k []byte) bool { return len(k) < 16 }):
		return nil, fmt.Errorf("%w: a key is shorter than 16 octets", ErrConfig)
	case cfg.HashLength < 4 || cfg.HashLength > 27:
		return nil, fmt.Errorf("%w: hash of %d characters, want 4 to 27", ErrConfig, cfg.HashLength)
	case cfg.MaxAge < day || cfg.MaxAge > 500*day:
		return nil, fmt.Errorf("%w: age of %v, want 1 to 500 days", ErrConfig, cfg.MaxAge)
	}
	_, domain, err := smtpstack.SplitAddress("x@" + cfg.Domain)
	if err != nil || strings.HasPrefix(domain, "[") {
		return nil, fmt.Errorf("%w: %q is not a domain", ErrConfig, cfg.Domain)
	}
	cfg.Domain = domain
	return &Rewriter{cfg: cfg, age: int(cfg.MaxAge / day)}, nil
}

// Forward is the MAIL FROM for forwarding mail of a sender. The null sender and addresses of our own domain stay as they
// are; an address that others rewrote becomes SRS1, which leads back to the first of them.
func (r *Rewriter) Forward(sender string) (string, error) {
	if sender == "" {
		return "", nil
	}
	local, domain, err := smtpstack.SplitAddress(sender)
	if err != nil {
		return "", fmt.Errorf("srs: %w", err)
	}
	if domain == r.cfg.Domain {
		return sender, nil
	}
	made := ""
	if host, rest, ok := guarded(local, domain); ok {
		made = "SRS1=" + r.hash(r.cfg.Keys[0], host, rest) + "=" + host + "=" + rest
	} else {
		stamp := stampOf(time.Now())
		made = "SRS0=" + r.hash(r.cfg.Keys[0], stamp, domain, local) + "=" + stamp + "=" + domain + "=" + local
	}
	made = quote(made) + "@" + r.cfg.Domain
	if len(made) > longest {
		return "", fmt.Errorf("srs: %w", ErrTooLong)
	}
	return made, nil
}

// guarded takes an address that others rewrote apart: the host that did so first, and what that host's local part has
// after its "SRS0".
func guarded(local, domain string) (host, rest string, ok bool) {
	if _, is := tagged(local, "SRS0"); is {
		return domain, local[len("SRS0"):], true
	}
	if body, is := tagged(local, "SRS1"); is {
		if p := strings.SplitN(body, "=", 3); len(p) == 3 {
			_, back := join("SRS0"+p[2], p[1]) // else it only looks like it, and is an address as any
			_, is := tagged("SRS0"+p[2], "SRS0")
			return p[1], p[2], is && back == nil
		}
	}
	return "", "", false
}

// tagged cuts the tag, in any case, and the separator, which others may have chosen otherwise.
func tagged(local, tag string) (string, bool) {
	if len(local) <= len(tag) || !strings.EqualFold(local[:len(tag)], tag) || strings.IndexByte("=-+", local[len(tag)]) < 0 {
		return "", false
	}
	return local[len(tag)+1:], true
}

// Reverse is the address to which mail for a rewritten one is to go on: the sender of SRS0, the SRS0 address of SRS1.
func (r *Rewriter) Reverse(address string) (string, error) {
	local, domain, err := smtpstack.SplitAddress(address)
	if err != nil {
		return "", fmt.Errorf("srs: %w: %w", ErrNotSRS, err)
	}
	if domain != r.cfg.Domain {
		return "", fmt.Errorf("srs: %w: it is at %s", ErrNotSRS, domain)
	}
	if body, ok := tagged(local, "SRS0"); ok {
		p := strings.SplitN(body, "=", 4)
		if len(p) != 4 || p[2] == "" || p[3] == "" {
			return "", fmt.Errorf("srs: %w", ErrNotSRS)
		}
		if !r.made(p[0], p[1], p[2], p[3]) {
			return "", fmt.Errorf("srs: %w", ErrForged)
		}
		if !r.young(p[1], time.Now()) {
			return "", fmt.Errorf("srs: %w", ErrExpired)
		}
		return join(p[3], p[2])
	}
	if body, ok := tagged(local, "SRS1"); ok {
		p := strings.SplitN(body, "=", 3)
		if len(p) != 3 || p[1] == "" || p[2] == "" {
			return "", fmt.Errorf("srs: %w", ErrNotSRS)
		}
		if !r.made(p[0], p[1], p[2]) {
			return "", fmt.Errorf("srs: %w", ErrForged)
		}
		return join("SRS0"+p[2], p[1])
	}
	return "", fmt.Errorf("srs: %w", ErrNotSRS)
}

// hash is the keyed hash over parts, in lower case.
func (r *Rewriter) hash(key []byte, parts ...string) string {
	return sum(key, parts)[:r.cfg.HashLength]
}

func sum(key []byte, parts []string) string {
	m := hmac.New(sha1.New, key)
	for _, p := range parts {
		m.Write(lower(p))
	}
	return base64.StdEncoding.EncodeToString(m.Sum(nil))
}

// lower knows ASCII only, as libsrs2 does.
func lower(s string) []byte {
	b := []byte(s)
	for i, c := range b {
		if c >= 'A' && c <= 'Z' {
			b[i] = c + 'a' - 'A'
		}
	}
	return b
}

// made tells whether one of the keys made a hash. Its case does not count: some servers fold local parts.
func (r *Rewriter) made(hash string, parts ...string) bool {
	if len(hash) < r.cfg.HashLength || len(hash) > 27 {
		return false
	}
	ok := 0
	for _, key := range r.cfg.Keys {
		ok |= subtle.ConstantTimeCompare(lower(sum(key, parts)[:len(hash)]), lower(hash))
	}
	return ok == 1
}

// stampOf is the day, in two characters.
func stampOf(t time.Time) string {
	n := t.Unix() / int64(day/time.Second) % days
	return string([]byte{base32[n>>5], base32[n&31]})
}

// young tells whether a stamp is of today or of the days before that MaxAge allows.
func (r *Rewriter) young(stamp string, now time.Time) bool {
	if len(stamp) != 2 {
		return false
	}
	stamp = strings.ToUpper(stamp)
	high, low := strings.IndexByte(base32, stamp[0]), strings.IndexByte(base32, stamp[1])
	if high < 0 || low < 0 {
		return false
	}
	today := int(now.Unix() / int64(day/time.Second) % days)
	return (today-(high<<5|low)+days)%days <= r.age
}

// join puts an address together and takes no other than SMTP would.
func join(local, domain string) (string, error) {
	address := quote(local) + "@" + domain
	if _, _, err := smtpstack.SplitAddress(address); err != nil {
		return "", fmt.Errorf("srs: %w: %w", ErrNotSRS, err)
	}
	return address, nil
}

// quote gives a local part its quotes if it needs them (RFC 5321 4.1.2).
func quote(local string) string {
	plain := !strings.HasPrefix(local, ".") && !strings.HasSuffix(local, ".") && !strings.Contains(local, "..") && local != ""
	for i := 0; i < len(local); i++ {
		if c := local[i]; c <= ' ' || c == 0x7f || strings.IndexByte(`"(),:;<>@[\]`, c) >= 0 {
			plain = false
		}
	}
	if plain {
		return local
	}
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(local) + `"`
}
