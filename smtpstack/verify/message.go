package verify

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
)

// Message takes the step over the stored message: From, DKIM, DMARC and the tenant. It fails only when the reader does
// or the context ends; then the verdict is not complete and says TempError.
func (v *Verifier) Message(ctx context.Context, d *Verdict, r io.Reader) error {
	ctx, cancel := context.WithTimeout(ctx, v.cfg.Timeout)
	defer cancel()
	d.HasMessage = true
	d.From, d.FromDomain, d.Signatures, d.DMARCAsks, d.SPFAligned = "", "", nil, "", false
	source := bufio.NewReader(r)
	fields, raw, err := readHeader(source)
	if err != nil && !errors.Is(err, errHeader) {
		d.unread("the message could not be read")
		return err
	}
	if err == nil {
		d.From, d.FromDomain, err = author(fields)
	}
	if err != nil {
		bad := Finding{Result: PermError, Reason: clip(err.Error())}
		d.Host, d.DKIM, d.DMARC, d.Tenant = bad, bad, bad, bad
		return nil
	}
	d.From = clip(d.From)
	record := v.policyRecord(ctx, d.FromDomain)
	d.Host = d.hostFor(d.FromDomain)
	d.SPFAligned = aligned(d.SPF.Domain, d.FromDomain, record.strictSPF)
	body := &steadyReader{ctx: ctx, r: io.MultiReader(bytes.NewReader(raw), source)}
	v.checkDKIM(ctx, d, fields, body, record.strictDKIM)
	if body.err != nil {
		d.unread("the message could not be read to its end")
		return body.err
	}
	d.judgeDMARC(record)
	d.Tenant = v.cfg.Policy.tenant(d)
	return nil
}

// unread makes everything the message could have shown a temporary failure.
func (d *Verdict) unread(reason string) {
	f := Finding{Result: TempError, Reason: reason}
	d.DKIM, d.DMARC, d.Tenant = f, f, f
}

// steadyReader ends with io.EOF whatever happens and keeps the error: the DKIM module leaves goroutines behind when its
// reader fails.
type steadyReader struct {
	ctx context.Context
	r   io.Reader
	err error
}

func (s *steadyReader) Read(p []byte) (int, error) {
	if s.err == nil {
		s.err = s.ctx.Err()
	}
	if s.err != nil {
		return 0, io.EOF
	}
	n, err := s.r.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		s.err, err = err, io.EOF
	}
	return n, err
}
