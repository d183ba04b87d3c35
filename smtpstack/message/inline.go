package message

import (
	"net/url"
	"regexp"
	"strings"
)

// cidReference is how HTML and its style sheets name a part (RFC 2392).
var cidReference = regexp.MustCompile(`(?i)\bcid:([^"'\s<>)]{1,400})`)

const maxCids = 1000

// noteCids remembers which parts an HTML body shows, also of a body that is not used in the end.
func (p *parser) noteCids(html string) {
	if p.cids == nil {
		p.cids = map[string]bool{}
	}
	for _, m := range cidReference.FindAllStringSubmatch(html, maxCids) {
		id := m[1]
		if plain, err := url.PathUnescape(id); err == nil {
			id = plain
		}
		if len(p.cids) < maxCids {
			p.cids[strings.ToLower(id)] = true
		}
	}
}

// settleInline decides, when all is read, which pictures belong to the text and which are documents. A picture that
// the HTML shows belongs to it wherever it stands; one beside the HTML that it does not show is a document: mail
// programs of telephones put photos there, and a page too many is better than one lost.
func (p *parser) settleInline() {
	for i := range p.msg.Attachments {
		part := &p.msg.Attachments[i]
		if !strings.HasPrefix(part.Type, "image/") || part.ContentID == "" {
			continue
		}
		switch {
		case p.cids[strings.ToLower(part.ContentID)]:
			part.Inline = true
		case p.cids != nil && !p.htmlCut:
			part.Inline = false
		}
	}
}
