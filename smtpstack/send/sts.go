package send

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/tipring/tipring/smtpstack/resolve"
)

// STSMode is the mode of an MTA-STS policy (RFC 8461 5).
type STSMode string

// The modes.
const (
	STSNone    STSMode = "none"
	STSTesting STSMode = "testing"
	STSEnforce STSMode = "enforce"
)

// STSPolicy is an MTA-STS policy (RFC 8461 3.2).
type STSPolicy struct {
	Mode   STSMode
	MaxAge time.Duration
	MX     []string // patterns: "mail.example.com", "*.example.net"
}

// The limits of RFC 8461 3.2 and 3.3, and our own.
const (
	maxSTSAge     = 31557600 * time.Second // RFC 8461 3.2
	maxSTSPolicy  = 64 << 10               // octets of a policy
	maxSTSMX      = 100
	stsTimeout    = time.Minute     // RFC 8461 3.3
	stsFailure    = 5 * time.Minute // a policy that could not be had is not asked for again so soon (3.3)
	stsMediaType  = "text/plain"
	stsVersion    = "STSv1"
	stsMaxIDField = 32
)

// ErrSTSPolicy is returned when a policy or its record does not follow RFC 8461.
var ErrSTSPolicy = errors.New("not an MTA-STS policy")

// STS asks domains for their MTA-STS policies.
type STS struct{ client *http.Client }

// NewSTS returns an STS that fetches by this client; nil is a usual one. Redirects are never followed (RFC 8461 3.3).
func NewSTS(client *http.Client) *STS {
	c := http.Client{}
	if client != nil {
		c = *client
	}
	c.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	c.Timeout = stsTimeout
	return &STS{client: &c}
}

// stsEntry is a policy as the store keeps it.
type stsEntry struct {
	ID      string    `json:"id"`
	Policy  STSPolicy `json:"policy"`
	Expires time.Time `json:"expires"`
	Failed  time.Time `json:"failed,omitempty"` // when fetching failed last
	Tried   string    `json:"tried,omitempty"`  // the record's id then
}

func (e *stsEntry) valid() bool { return e.Policy.Mode != "" && time.Now().Before(e.Expires) }

// policy returns the policy that holds for a domain now, nil for none. What cannot be found out leaves the last good
// policy in force until it expires (RFC 8461 3.3, 5.1).
func (s *STS) policy(ctx context.Context, r resolve.Resolver, store Store, domain string, trace tracer) *STSPolicy {
	var have stsEntry
	if raw, err := store.Get(BucketSTS, domain); err == nil {
		json.Unmarshal(raw, &have) // what is damaged is fetched again
	}
	keep := func() *STSPolicy {
		if have.valid() {
			return &have.Policy
		}
		return nil
	}
	id, err := stsRecord(ctx, r, domain)
	if err != nil {
		if !errors.Is(err, resolve.ErrNotFound) {
			trace("!", "MTA-STS record of %s: %v", domain, err)
		}
		return keep()
	}
	if have.ID == id && have.valid() || have.Tried == id && time.Since(have.Failed) < stsFailure {
		return keep()
	}
	p, err := s.fetch(ctx, domain)
	if err != nil {
		trace("!", "MTA-STS policy of %s: %v", domain, err)
		have.Tried, have.Failed = id, time.Now()
	} else {
		have = stsEntry{ID: id, Policy: p, Expires: time.Now().Add(p.MaxAge)}
		trace("!", "MTA-STS policy of %s: mode %s, %d patterns", domain, p.Mode, len(p.MX))
	}
	if raw, err := json.Marshal(have); err == nil {
		expires := have.Expires
		if t := time.Now().Add(stsFailure); expires.Before(t) {
			expires = t
		}
		if err := store.Put(BucketSTS, domain, raw, expires); err != nil {
			trace("!", "MTA-STS policy is not kept: %v", err)
		}
	}
	return keep()
}

// stsRecord returns the id of the domain's record (RFC 8461 3.1). More than one record are as good as none.
func stsRecord(ctx context.Context, r resolve.Resolver, domain string) (string, error) {
	txts, err := r.TXT(ctx, "_mta-sts."+domain)
	if err != nil {
		return "", err
	}
	var ours []string
	for _, t := range txts {
		if v, _, _ := strings.Cut(t, ";"); strings.TrimSpace(v) == "v="+stsVersion {
			ours = append(ours, t)
		}
	}
	if len(ours) != 1 {
		return "", fmt.Errorf("%w: %d records", resolve.ErrNoData, len(ours))
	}
	for _, field := range strings.Split(ours[0], ";")[1:] {
		if id, ok := strings.CutPrefix(strings.TrimSpace(field), "id="); ok {
			if id == "" || len(id) > stsMaxIDField || strings.Trim(id, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789") != "" {
				return "", fmt.Errorf("%w: id %.40q", ErrSTSPolicy, id)
			}
			return id, nil
		}
	}
	return "", fmt.Errorf("%w: the record has no id", ErrSTSPolicy)
}

// fetch gets the policy by HTTPS (RFC 8461 3.3).
func (s *STS) fetch(ctx context.Context, domain string) (STSPolicy, error) {
	ctx, cancel := context.WithTimeout(ctx, stsTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://mta-sts."+domain+"/.well-known/mta-sts.txt", nil)
	if err != nil {
		return STSPolicy{}, err
	}
	resp, err := s.client.Do(req)
	if err != nil {
		return STSPolicy{}, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return STSPolicy{}, fmt.Errorf("%w: HTTP status %d", ErrSTSPolicy, resp.StatusCode)
	}
	if mt, _, err := mime.ParseMediaType(resp.Header.Get("Content-Type")); err != nil || mt != stsMediaType {
		return STSPolicy{}, fmt.Errorf("%w: media type %.60q", ErrSTSPolicy, resp.Header.Get("Content-Type"))
	}
	raw, err := io.ReadAll(io.LimitReader(resp.Body, maxSTSPolicy+1))
	if err != nil {
		return STSPolicy{}, err
	}
	if len(raw) > maxSTSPolicy {
		return STSPolicy{}, fmt.Errorf("%w: longer than %d octets", ErrSTSPolicy, maxSTSPolicy)
	}
	return ParseSTSPolicy(string(raw))
}

// ParseSTSPolicy reads a policy (RFC 8461 3.2). Unknown fields are passed over; of a field that may stand once the first
// counts. Errors are ErrSTSPolicy.
func ParseSTSPolicy(text string) (STSPolicy, error) {
	var p STSPolicy
	seen := make(map[string]string)
	for _, line := range strings.Split(text, "\n") {
		key, value, ok := strings.Cut(strings.TrimRight(line, " \t\r"), ":")
		if !ok {
			if strings.TrimSpace(line) != "" {
				return p, fmt.Errorf("%w: line %.60q", ErrSTSPolicy, line)
			}
			continue
		}
		key, value = strings.TrimSpace(key), strings.TrimSpace(value)
		if key == "mx" {
			pattern, err := asciiPattern(value)
			if err != nil || len(p.MX) == maxSTSMX {
				return p, fmt.Errorf("%w: mx %.60q", ErrSTSPolicy, value)
			}
			p.MX = append(p.MX, pattern)
		} else if _, twice := seen[key]; !twice {
			seen[key] = value
		}
	}
	p.Mode = STSMode(seen["mode"])
	age, err := strconv.ParseUint(seen["max_age"], 10, 32)
	switch {
	case seen["version"] != stsVersion:
		return p, fmt.Errorf("%w: version %.20q", ErrSTSPolicy, seen["version"])
	case p.Mode != STSNone && p.Mode != STSTesting && p.Mode != STSEnforce:
		return p, fmt.Errorf("%w: mode %.20q", ErrSTSPolicy, seen["mode"])
	case err != nil:
		return p, fmt.Errorf("%w: max_age %.20q", ErrSTSPolicy, seen["max_age"])
	case p.Mode != STSNone && len(p.MX) == 0:
		return p, fmt.Errorf("%w: no mx", ErrSTSPolicy)
	}
	p.MaxAge = min(time.Duration(age)*time.Second, maxSTSAge)
	return p, nil
}

// matches tells whether a pattern covers a host: "*" stands for exactly one label (RFC 8461 4.1).
func (p STSPolicy) matches(host string) bool {
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	for _, pattern := range p.MX {
		if suffix, ok := strings.CutPrefix(pattern, "*."); ok {
			if _, rest, ok := strings.Cut(host, "."); ok && rest == suffix {
				return true
			}
		} else if pattern == host {
			return true
		}
	}
	return false
}
