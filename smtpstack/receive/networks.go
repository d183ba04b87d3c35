package receive

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/tipring/tipring/smtpstack/resolve"
)

// NetworkSet is a set of addresses that may change while the server runs. Contains is called for each connection.
type NetworkSet interface {
	Contains(netip.Addr) bool
}

// ExchangeOnlineName is the name of the built-in set in a configuration.
const ExchangeOnlineName = "exchange-online"

// exchangeOnlineDate is the day of the built-in list: what Exchange Online sends from, by Microsoft's page "Microsoft
// 365 URLs and IP address ranges" (Exchange Online, id 10).
var exchangeOnlineDate = time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)

var exchangeOnlineBuiltIn = []netip.Prefix{
	netip.MustParsePrefix("40.92.0.0/15"),
	netip.MustParsePrefix("40.107.0.0/16"),
	netip.MustParsePrefix("52.100.0.0/14"),
	netip.MustParsePrefix("104.47.0.0/17"),
	netip.MustParsePrefix("2a01:111:f400::/48"),
	netip.MustParsePrefix("2a01:111:f403::/48"),
}

const (
	exchangeOnlineSPF = "spf.protection.outlook.com"
	maxSPFIncludes    = 10 // RFC 7208 4.6.4
	maxSPFPrefixes    = 256
	minBits4          = 10 // a range larger than these is no provider's: an error or an attack
	minBits6          = 32
	refreshEvery      = 24 * time.Hour
	refreshAgain      = time.Hour // after a failure
)

// ErrRanges is returned when DNS names ranges that cannot be Exchange Online's.
var ErrRanges = errors.New("the answer cannot be Exchange Online's ranges")

// ExchangeOnline is the set of addresses from which Exchange Online sends: the published ranges, refreshed from the SPF
// record that all its customers include. Being in it proves Microsoft, not whose mail it is.
type ExchangeOnline struct {
	file     string
	resolver resolve.Resolver

	mu       sync.RWMutex
	prefixes []netip.Prefix
	since    time.Time
}

// savedRanges is the file's content.
type savedRanges struct {
	Source   string
	Since    time.Time
	Prefixes []netip.Prefix
}

// OpenExchangeOnline reads the last good copy from file, which need not exist; when it is missing, damaged or older than
// the built-in list, that one is used. A damaged file is no error: it is written anew by the next refresh.
func OpenExchangeOnline(file string, r resolve.Resolver) (*ExchangeOnline, error) {
	e := &ExchangeOnline{file: file, resolver: r, prefixes: exchangeOnlineBuiltIn, since: exchangeOnlineDate}
	content, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return e, nil
	} else if err != nil {
		return nil, fmt.Errorf("receive: %s: %w", ExchangeOnlineName, err)
	}
	var saved savedRanges
	if json.Unmarshal(content, &saved) == nil && saved.Since.After(e.since) && e.plausible(saved.Prefixes) == nil {
		e.prefixes, e.since = saved.Prefixes, saved.Since
	}
	return e, nil
}

// Contains implements NetworkSet.
func (e *ExchangeOnline) Contains(ip netip.Addr) bool {
	e.mu.RLock()
	defer e.mu.RUnlock()
	return containsAddr(e.prefixes, ip)
}

// Prefixes are the ranges in use and the time they are from.
func (e *ExchangeOnline) Prefixes() ([]netip.Prefix, time.Time) {
	e.mu.RLock()
	defer e.mu.RUnlock()
	return slices.Clone(e.prefixes), e.since
}

// Run refreshes the set once a day, after a failure each hour, until the context ends. report, which may be nil, is told
// of failures.
func (e *ExchangeOnline) Run(ctx context.Context, report func(error)) {
	for {
		wait := refreshEvery
		if err := e.Refresh(ctx); err != nil {
			if wait = refreshAgain; report != nil && ctx.Err() == nil {
				report(err)
			}
		}
		t := time.NewTimer(wait)
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
			return
		}
	}
}

// Refresh asks DNS. The set changes only for an answer that is whole and plausible; then it is also written to the file.
// ErrRanges is returned for another one, resolve's errors when DNS gave none.
func (e *ExchangeOnline) Refresh(ctx context.Context) error {
	w := &spfWalk{resolver: e.resolver, seen: make(map[string]bool)}
	err := w.include(ctx, exchangeOnlineSPF)
	if err == nil {
		err = e.plausible(w.prefixes)
	}
	if err != nil {
		return fmt.Errorf("receive: refresh %s: %w", ExchangeOnlineName, err)
	}
	e.mu.Lock()
	e.prefixes, e.since = w.prefixes, time.Now()
	saved := savedRanges{Source: exchangeOnlineSPF, Since: e.since, Prefixes: e.prefixes}
	e.mu.Unlock()
	content, err := json.MarshalIndent(saved, "", "\t")
	if err == nil {
		err = writeFile(e.file, append(content, '\n'))
	}
	if err != nil {
		return fmt.Errorf("receive: keep %s: %w", ExchangeOnlineName, err)
	}
	return nil
}

// plausible refuses lists that are empty, have absurd ranges, or nothing in common with the one in use: DNS that lies
// must not open the door, and one that says nothing must not close it.
func (e *ExchangeOnline) plausible(list []netip.Prefix) error {
	e.mu.RLock()
	defer e.mu.RUnlock()
	common := false
	for _, p := range list {
		ip := p.Addr()
		least := minBits4
		if ip.Is6() {
			least = minBits6
		}
		if !p.IsValid() || p != p.Masked() || p.Bits() < least || !ip.IsGlobalUnicast() || ip.IsPrivate() || ip.Is4In6() {
			return fmt.Errorf("%w: %s", ErrRanges, p)
		}
		common = common || slices.ContainsFunc(e.prefixes, p.Overlaps)
	}
	if len(list) == 0 || len(list) > maxSPFPrefixes || !common {
		return fmt.Errorf("%w: %d ranges", ErrRanges, len(list))
	}
	return nil
}

// spfWalk collects the addresses an SPF record passes (RFC 7208 4.6.1, 5.2, 5.6), of which it takes ip4, ip6 and include.
type spfWalk struct {
	resolver resolve.Resolver
	seen     map[string]bool
	prefixes []netip.Prefix
}

func (w *spfWalk) include(ctx context.Context, name string) error {
	if name = strings.TrimSuffix(name, "."); w.seen[name] {
		return nil
	}
	if w.seen[name] = true; len(w.seen) > maxSPFIncludes {
		return fmt.Errorf("%w: more than %d includes", ErrRanges, maxSPFIncludes)
	}
	records, err := w.resolver.TXT(ctx, name)
	if err != nil {
		return err
	}
	records = slices.DeleteFunc(slices.Clone(records), func(r string) bool {
		version, _, _ := strings.Cut(r, " ")
		return !strings.EqualFold(version, "v=spf1")
	})
	if len(records) != 1 {
		return fmt.Errorf("%w: %d SPF records at %s", ErrRanges, len(records), name)
	}
	for _, term := range strings.Fields(records[0])[1:] {
		if done, err := w.term(ctx, strings.ToLower(strings.TrimPrefix(term, "+"))); done || err != nil {
			return err
		}
	}
	return nil
}

// term takes one term; done is true at "all", after which nothing counts (RFC 7208 5.1).
func (w *spfWalk) term(ctx context.Context, term string) (done bool, err error) {
	mechanism, value, _ := strings.Cut(term, ":")
	switch mechanism {
	case "ip4", "ip6":
		p, err := parseRange(value)
		if err != nil || p.Addr().Is4() != (mechanism == "ip4") {
			return false, fmt.Errorf("%w: %.60q", ErrRanges, term)
		}
		if w.prefixes = append(w.prefixes, p); len(w.prefixes) > maxSPFPrefixes {
			return false, fmt.Errorf("%w: more than %d ranges", ErrRanges, maxSPFPrefixes)
		}
	case "include":
		return false, w.include(ctx, value)
	case "-all", "~all", "?all":
		return true, nil
	default: // "all" would be everybody; a, mx, exists, redirect and macros are not in this record
		return false, fmt.Errorf("%w: %.60q", ErrRanges, term)
	}
	return false, nil
}

func parseRange(s string) (netip.Prefix, error) {
	if !strings.Contains(s, "/") {
		ip, err := netip.ParseAddr(s)
		if err != nil {
			return netip.Prefix{}, err
		}
		return netip.PrefixFrom(ip, ip.BitLen()), nil
	}
	p, err := netip.ParsePrefix(s)
	return p.Masked(), err
}
