package message

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
)

// node is one entity of a mail to write: a multipart with parts, or a leaf.
type node struct {
	kind  string // "mixed", "alternative", "related; type=...", "report; ..."; "" for a leaf
	parts []node
	leaf  func(w *bufio.Writer) error // writes its header fields, the empty line and the content
}

// tree arranges the mail (RFC 2046 5.1, RFC 2387): report or mixed around alternative around related.
func (o *Outgoing) tree() (node, error) {
	body := textLeaf("text/plain", o.Text)
	if o.HTML != "" {
		rich := textLeaf("text/html", o.HTML)
		if len(o.Inline) > 0 {
			rich = node{kind: `related; type="text/html"`, parts: append([]node{rich}, fileLeaves(o.Inline)...)}
		}
		body = node{kind: "alternative", parts: []node{body, rich}}
	}
	switch {
	case o.Report != nil && len(o.Attachments) > 0:
		return node{}, fmt.Errorf("%w: a report has no attachments", ErrField)
	case o.Report != nil:
		machine, err := o.Report.parts()
		return node{kind: "report; report-type=" + o.Report.kind(), parts: append([]node{body}, machine...)}, err
	case len(o.Attachments) > 0:
		return node{kind: "mixed", parts: append([]node{body}, fileLeaves(o.Attachments)...)}, nil
	}
	return body, nil
}

func textLeaf(mediaType, s string) node {
	return node{leaf: func(w *bufio.Writer) error {
		h := &headerWriter{w: w}
		h.raw("Content-Type", mediaType+"; charset=utf-8")
		h.raw("Content-Transfer-Encoding", "quoted-printable")
		h.end()
		if h.err != nil {
			return h.err
		}
		return writeText(w, s)
	}}
}

func fileLeaves(list []File) []node {
	nodes := make([]node, len(list))
	for i, f := range list {
		nodes[i] = node{leaf: func(w *bufio.Writer) error { return writeFile(w, f) }}
	}
	return nodes
}

func (o *Outgoing) writeNode(w *bufio.Writer, n node) error {
	if n.leaf != nil {
		return n.leaf(w)
	}
	name, params, _ := strings.Cut(n.kind, ";")
	boundary := o.boundary(name)
	if params != "" {
		params = ";" + params
	}
	h := &headerWriter{w: w}
	h.raw("Content-Type", "multipart/"+name+params+";\r\n boundary=\""+boundary+`"`)
	if h.err != nil {
		return h.err
	}
	for _, part := range n.parts {
		if _, err := fmt.Fprintf(w, "\r\n--%s\r\n", boundary); err != nil {
			return err
		}
		if err := o.writeNode(w, part); err != nil {
			return err
		}
	}
	_, err := fmt.Fprintf(w, "\r\n--%s--\r\n", boundary)
	return err
}

// boundary has "=_", which no quoted-printable or base64 line can hold, so no content can end a part (RFC 2045 6.7).
// The kinds differ in their first letter, so none begins another.
func (o *Outgoing) boundary(kind string) string {
	sum := sha256.Sum256([]byte(o.MessageID()))
	return "=_tipring_" + kind[:1] + "_" + hex.EncodeToString(sum[:12])
}

// ContentID makes the Content-ID of an inline file of this mail; name has letters, digits, "-", "." and "_".
func (o *Outgoing) ContentID(name string) string { return name + "." + o.ID + "@" + o.Domain }

func isContentID(s string) bool {
	left, right, found := strings.Cut(s, "@")
	return found && isIDText(left) && isIDText(right)
}
