package verify

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/emersion/go-msgauth/dkim"

	"github.com/tipring/tipring/smtpstack/resolve"
)

// maxFuture is how far ahead of our clock a signature may have been made (RFC 6376 3.5, t=).
const maxFuture = 24 * time.Hour

// checkDKIM verifies the signatures. Only those of a domain aligned with From make the finding a pass; what else was
// signed stands in Verdict.Signatures.
func (v *Verifier) checkDKIM(ctx context.Context, d *Verdict, fields []field, message io.Reader, strict bool) {
	n := count(fields, "dkim-signature")
	if n == 0 {
		d.DKIM = Finding{Result: None, Reason: "the message is not signed"}
		return
	}
	if slices.ContainsFunc(fields, func(f field) bool { return f.name == "dkim-signature" && len(f.value) > maxSignature }) {
		d.DKIM = Finding{Result: PermError, Reason: "a DKIM signature field is too long"}
		return
	}
	keys := &keyring{ctx: ctx, resolver: v.resolver, flags: map[string]string{}}
	list, err := dkim.VerifyWithOptions(message, &dkim.VerifyOptions{LookupTXT: keys.lookup, MaxVerifications: v.cfg.MaxSignatures})
	if err != nil && !errors.Is(err, dkim.ErrTooManySignatures) {
		d.DKIM = Finding{Result: PermError, Reason: clip(err.Error())}
		return
	}
	twice := doubled(fields)
	for _, sig := range list {
		s := judgeSignature(sig, keys, time.Now())
		if s.Result == Pass && twice != "" {
			s.Result, s.Reason = Fail, fmt.Sprintf("the message has two fields %q, and a signature cannot tell which counts", twice)
		}
		s.Aligned = aligned(s.Domain, d.FromDomain, strict)
		d.Signatures = append(d.Signatures, s)
	}
	d.DKIM = summary(d.Signatures, d.FromDomain)
	if err != nil {
		d.DKIM.Reason = clip(fmt.Sprintf("%s (only %d of %d signatures looked at)", d.DKIM.Reason, v.cfg.MaxSignatures, n))
	}
}

// judgeSignature adds to the module's judgement the flags of the key.
func judgeSignature(sig *dkim.Verification, keys *keyring, now time.Time) Signature {
	domain, err := ascii(sig.Domain)
	s := Signature{Domain: domain, Result: Pass, Reason: "the signature is good"}
	flags := keys.flagsOf(domain)
	switch {
	case err != nil && sig.Err == nil:
		s.Result, s.Reason = PermError, fmt.Sprintf("%q is not a domain", clip(sig.Domain))
	case dkim.IsTempFail(sig.Err):
		s.Result, s.Reason = TempError, "DNS gave no answer about the signature's key"
	case dkim.IsPermFail(sig.Err):
		s.Result, s.Reason = PermError, strings.TrimPrefix(sig.Err.Error(), "dkim: ")
	case sig.Err != nil:
		s.Result, s.Reason = Fail, strings.TrimPrefix(sig.Err.Error(), "dkim: ")
	case sig.Time.After(now.Add(maxFuture)):
		s.Result, s.Reason = PermError, "the signature was made in the future"
	case slices.Contains(flags, "y"):
		s.Result, s.Reason = Neutral, "the signature is good, but its key is marked as a test (t=y)"
	case slices.Contains(flags, "s") && !strings.HasSuffix(strings.ToLower(sig.Identifier), "@"+strings.ToLower(sig.Domain)):
		s.Result, s.Reason = Fail, "the key allows no subdomain in i= (t=s)"
	}
	s.Reason = clip(s.Reason)
	return s
}

// summary says the best of what aligned signatures say; without one, that nobody signed for From.
func summary(list []Signature, from string) Finding {
	rank := []Result{Pass, TempError, Fail, PermError, Neutral}
	for _, r := range rank {
		for _, s := range list {
			if s.Aligned && s.Result == r {
				return Finding{Result: r, Domain: s.Domain, Reason: clip(fmt.Sprintf("signed by %s: %s", s.Domain, s.Reason))}
			}
		}
	}
	for _, s := range list {
		if s.Result == Pass {
			return Finding{Result: Neutral, Domain: s.Domain, Reason: fmt.Sprintf("signed by %s, which is not aligned with the sender's domain %s", s.Domain, from)}
		}
	}
	return Finding{Result: Fail, Domain: list[0].Domain, Reason: clip(fmt.Sprintf("no signature is of %s; %s: %s", from, list[0].Domain, list[0].Reason))}
}

// keyring looks keys up for the module, and keeps their flags, which it does not heed.
type keyring struct {
	ctx      context.Context
	resolver resolve.Resolver

	mu    sync.Mutex
	flags map[string]string // by name: "y", "s", "y:s"
}

// lookup is called from several goroutines.
func (k *keyring) lookup(name string) ([]string, error) {
	a, err := ascii(name)
	if err != nil {
		return nil, &net.DNSError{Err: "not a domain name", IsNotFound: true}
	}
	list, err := k.resolver.TXT(k.ctx, a)
	if err != nil {
		return nil, &net.DNSError{Err: err.Error(), IsNotFound: errors.Is(err, resolve.ErrNotFound), IsTemporary: errors.Is(err, resolve.ErrTemporary)}
	}
	if len(list) == 1 {
		k.mu.Lock()
		k.flags[a] = keyFlags(list[0])
		k.mu.Unlock()
	}
	return list, nil
}

// keyFlags is the t= tag of a key record (RFC 6376 3.6.1).
func keyFlags(record string) string {
	for tag := range strings.SplitSeq(record, ";") {
		if name, value, ok := strings.Cut(tag, "="); ok && strings.TrimSpace(name) == "t" {
			return strings.Join(strings.Fields(value), "")
		}
	}
	return ""
}

// flagsOf are the flags of all keys that were looked up for a domain. The module does not tell a signature's selector;
// with two keys of one domain in one message, the stricter flags count for both.
func (k *keyring) flagsOf(domain string) []string {
	k.mu.Lock()
	defer k.mu.Unlock()
	var flags []string
	for name, f := range k.flags {
		if strings.HasSuffix(name, "._domainkey."+domain) {
			flags = append(flags, strings.Split(f, ":")...)
		}
	}
	return flags
}
