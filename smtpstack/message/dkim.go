package message

import (
	"bytes"
	"crypto"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/emersion/go-msgauth/dkim"
)

// DKIMKey signs mail (RFC 6376, RFC 8463): rsa-sha256 or ed25519-sha256, canonicalization relaxed/relaxed.
type DKIMKey struct {
	Domain   string // d=, aligned with From for DMARC
	Selector string // s=
	signer   crypto.Signer
}

var (
	// ErrDKIMKey is returned when a private key cannot be read, is of another kind, or is too short.
	ErrDKIMKey = errors.New("not a key for DKIM")
	// ErrDKIM is returned when a mail cannot be signed: it has no From, or its header has no end within 256 KiB.
	ErrDKIM = errors.New("mail cannot be signed")
)

const (
	minDKIMBits = 1024 // RFC 8301 3.2; Exchange Online and Gmail check no less either
	maxDKIMBits = 4096
	maxDKIMHead = 256 << 10
)

// ParseDKIMKey reads a private key in PEM: PKCS #8 (RSA, Ed25519) or PKCS #1. The first such block counts. Nothing of
// the key is in an error.
func ParseDKIMKey(domain, selector string, pemData []byte) (*DKIMKey, error) {
	if !isIDText(domain) || !isIDText(selector) {
		return nil, fmt.Errorf("message: %w: domain %.80q or selector %.80q", ErrDKIMKey, domain, selector)
	}
	var block *pem.Block
	for rest := pemData; ; {
		if block, rest = pem.Decode(rest); block == nil {
			return nil, fmt.Errorf("message: %w: no PRIVATE KEY in the file", ErrDKIMKey)
		}
		if block.Type == "PRIVATE KEY" || block.Type == "RSA PRIVATE KEY" {
			break
		}
	}
	signer, err := parseSigner(block)
	if err != nil {
		return nil, fmt.Errorf("message: %w: %w", ErrDKIMKey, err)
	}
	return &DKIMKey{Domain: strings.ToLower(domain), Selector: selector, signer: signer}, nil
}

var errKeyDamaged = errors.New("the key is damaged or protected by a password")

func parseSigner(block *pem.Block) (crypto.Signer, error) {
	var key any
	var err error
	if block.Type == "RSA PRIVATE KEY" {
		key, err = x509.ParsePKCS1PrivateKey(block.Bytes)
	} else {
		key, err = x509.ParsePKCS8PrivateKey(block.Bytes)
	}
	if err != nil {
		return nil, errKeyDamaged // the parser's words may quote the key
	}
	switch k := key.(type) {
	case *rsa.PrivateKey:
		if bits := k.N.BitLen(); bits < minDKIMBits || bits > maxDKIMBits {
			return nil, fmt.Errorf("RSA with %d bits; use 2048 (%d to %d are taken)", bits, minDKIMBits, maxDKIMBits)
		}
		return k, nil
	case ed25519.PrivateKey:
		return k, nil
	}
	return nil, fmt.Errorf("%T is neither RSA nor Ed25519", key)
}

// Record is the DNS name and the TXT record that the domain must publish for this key (RFC 6376 3.6.1, RFC 8463 4). A
// text over 255 octets is to be divided into several strings of one record.
func (k *DKIMKey) Record() (name, text string, err error) {
	kind, der := "ed25519", []byte(nil)
	switch pub := k.signer.Public().(type) {
	case ed25519.PublicKey:
		der = pub
	default:
		kind = "rsa"
		if der, err = x509.MarshalPKIXPublicKey(pub); err != nil {
			return "", "", fmt.Errorf("message: %w: %w", ErrDKIMKey, err)
		}
	}
	return k.Selector + "._domainkey." + k.Domain, "v=DKIM1; k=" + kind + "; p=" + base64.StdEncoding.EncodeToString(der), nil
}

// signedFields are covered by the signature, also when they are missing, so that nobody can add one; From and Subject
// once more than they stand there, against a second one (RFC 6376 8.15).
var signedFields = []string{"From", "From", "To", "Cc", "Reply-To", "Subject", "Subject", "Date", "Message-ID", "In-Reply-To", "References",
	"MIME-Version", "Content-Type", "Content-Transfer-Encoding", "Content-Class", "Auto-Submitted", "Sender"}

// SignDKIM reads a finished mail (CR LF line ends) once and returns its DKIM-Signature fields, one for each key, to be
// written before it. Memory does not grow with the mail. Signing with an RSA and an Ed25519 key makes the mail
// verifiable for everybody; who does not know the second skips it (RFC 8463 3).
func SignDKIM(r io.Reader, keys ...*DKIMKey) (fields string, err error) {
	signers := make([]*dkim.Signer, 0, len(keys))
	defer func() {
		for _, s := range signers {
			if err != nil {
				s.Close() // ends its goroutine
			}
		}
	}()
	writers := make([]io.Writer, 0, len(keys))
	for _, k := range keys {
		s, err := dkim.NewSigner(&dkim.SignOptions{Domain: k.Domain, Selector: k.Selector, Signer: k.signer, Hash: crypto.SHA256,
			HeaderCanonicalization: dkim.CanonicalizationRelaxed, BodyCanonicalization: dkim.CanonicalizationRelaxed, HeaderKeys: signedFields})
		if err != nil {
			return "", fmt.Errorf("message: %w: %w", ErrDKIM, err)
		}
		signers, writers = append(signers, s), append(writers, s)
	}
	if _, err := io.Copy(io.MultiWriter(writers...), &headGuard{r: r, left: maxDKIMHead}); err != nil {
		return "", fmt.Errorf("message: sign: %w", err)
	}
	for _, s := range signers {
		if err := s.Close(); err != nil {
			return "", fmt.Errorf("message: %w: %w", ErrDKIM, err)
		}
		fields += s.Signature()
	}
	return fields, nil
}

// OpenSigned signs the mail in f, from its beginning, and returns a reader of the signatures with the mail behind them
// and the number of octets it gives.
func OpenSigned(f io.ReadSeeker, keys ...*DKIMKey) (io.Reader, int64, error) {
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return nil, 0, fmt.Errorf("message: sign: %w", err)
	}
	counted := &countReader{r: f}
	fields, err := SignDKIM(counted, keys...)
	if err != nil {
		return nil, 0, err
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return nil, 0, fmt.Errorf("message: sign: %w", err)
	}
	return io.MultiReader(strings.NewReader(fields), f), int64(len(fields)) + counted.n, nil
}

// SignedFile is OpenSigned for a mail in a file, as smtpstack/send takes it: the file is signed once, each open gives
// the signatures and the mail. Without keys it is the file as it is.
func SignedFile(path string, keys ...*DKIMKey) (open func() (io.ReadCloser, error), size int64, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, 0, fmt.Errorf("message: sign: %w", err)
	}
	defer f.Close()
	counted := &countReader{r: f}
	fields, err := SignDKIM(counted, keys...)
	if err != nil {
		return nil, 0, err
	}
	return func() (io.ReadCloser, error) {
		f, err := os.Open(path)
		if err != nil {
			return nil, err
		}
		return signedReader{io.MultiReader(strings.NewReader(fields), f), f}, nil
	}, int64(len(fields)) + counted.n, nil
}

type signedReader struct {
	io.Reader
	io.Closer
}

type countReader struct {
	r io.Reader
	n int64
}

func (c *countReader) Read(b []byte) (int, error) {
	n, err := c.r.Read(b)
	c.n += int64(n)
	return n, err
}

// headGuard fails when the header has no end within its limit, because the signer holds headers in memory; and when it
// has no From, which the signer would sign all the same.
type headGuard struct {
	r    io.Reader
	left int
	head []byte
	past bool
}

func (g *headGuard) Read(b []byte) (int, error) {
	n, err := g.r.Read(b)
	if g.past {
		return n, err
	}
	g.head = append(g.head, b[:n]...)
	end := bytes.Index(g.head, []byte("\r\n\r\n"))
	if end < 0 && len(g.head) <= g.left && err != io.EOF {
		return n, err
	}
	if end < 0 || end > g.left {
		return 0, fmt.Errorf("%w: its header has no end", ErrDKIM)
	}
	from := 0
	for line := range bytes.SplitSeq(g.head[:end], []byte("\r\n")) {
		if name, _, ok := bytes.Cut(line, []byte(":")); ok && strings.EqualFold(strings.TrimRight(string(name), " \t"), "From") {
			from++
		}
	}
	if from != 1 {
		return 0, fmt.Errorf("%w: it has %d From fields", ErrDKIM, from)
	}
	g.past, g.head = true, nil
	return n, err
}
