package gateway

import (
	"encoding/base64"
	"net/url"
	"os"
	"strings"

	"github.com/tipring/tipring/smtpstack/message"
)

// Bounds for the pictures that a mail's HTML shows, in octets.
const (
	maxShown    = 1 << 20 // of one
	maxAllShown = 5 << 20 // of all, as they stand in the text
)

// showPictures puts the pictures of the mail itself that its HTML refers to (cid:, RFC 2392) into the HTML as data URIs. What is too
// large keeps its alternative text.
func showPictures(html string, parts []message.Part) string {
	left := maxAllShown
	for _, p := range parts {
		if html == "" || !p.Inline || p.Damaged || p.Unsupported != "" || p.ContentID == "" || p.Path == "" {
			continue
		}
		refs := []string{"cid:" + p.ContentID, "cid:" + url.PathEscape(p.ContentID), "cid:" + strings.ReplaceAll(p.ContentID, "@", "%40")}
		n := 0
		for _, ref := range refs {
			n = max(n, strings.Count(html, ref))
		}
		info, err := os.Stat(p.Path)
		if n == 0 || err != nil || info.Size() > maxShown {
			continue
		}
		size := n * (base64.StdEncoding.EncodedLen(int(info.Size())) + 32)
		if size > left {
			continue
		}
		data, err := os.ReadFile(p.Path)
		if err != nil {
			continue
		}
		left -= size
		uri := "data:image;base64," + base64.StdEncoding.EncodeToString(data)
		for _, ref := range refs { // only whole references: a1 is not a10
			for _, quote := range []string{`"`, `'`} {
				html = strings.ReplaceAll(html, quote+ref+quote, quote+uri+quote)
			}
		}
	}
	return html
}
