package token

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	"golang.org/x/oauth2"

	"github.com/tipring/tipring/smtpstack"
)

// Error is a refusal of the token endpoint. Its text has neither secrets nor tokens.
type Error struct {
	Code   string // RFC 6749 5.2, RFC 8628 3.5: "invalid_client"
	Number string // of the identity platform: "AADSTS7000215", or ""
	Text   string // what the endpoint said, one short line
	Status int    // HTTP status, 0 if there was none
}

// Error implements error.
func (e *Error) Error() string {
	s := "token: " + e.Code
	if e.Text != "" {
		s += ": " + e.Text
	}
	return s
}

// Temporary tells whether the same request may succeed later without anybody changing anything.
func (e *Error) Temporary() bool {
	return e.Status >= 500 || e.Status == 429 || e.Code == "temporarily_unavailable" || e.Code == "server_error"
}

// remedies are by number, then by code (Microsoft Entra authentication and authorization error codes).
var remedies = map[string]string{
	"AADSTS7000215": "The client secret is wrong: enter the secret's value, not its ID, or make a new one in the app registration.",
	"AADSTS7000222": "The client secret has expired: make a new one in the app registration.",
	"AADSTS700016":  "The tenant has no application with this client ID: check tenant and client ID, and that an administrator has consented to the application.",
	"AADSTS90002":   "There is no such tenant: check the directory ID in the configuration.",
	"AADSTS700027":  "The certificate is not that of the app registration: upload the certificate's public part there.",
	"AADSTS700024":  "The client assertion is outside its time: set this host's clock.",
	"AADSTS7000218": "The application does not allow the device code flow: set \"Allow public client flows\" to Yes in the app registration.",
	"AADSTS65001":   "Nobody has consented to the permission SMTP.Send: grant admin consent in the app registration.",
	"AADSTS53003":   "A conditional access policy blocks the sign-in: exclude the application or this host's address.",
	"AADSTS50076":   "The organisation wants a second factor: sign in again by device code.",
	"AADSTS50173":   "The sign-in was revoked, perhaps by a new password: sign in again by device code.",
	"AADSTS700082":  "The sign-in has expired because it was not used: sign in again by device code.",
	"invalid_grant": "The sign-in is not valid any more: sign in again by device code.",
	"invalid_scope": "The scope is not right: use " + ScopeApplication + " with client credentials, " + ScopeDelegated + " with device code.",
	"expired_token": "Nobody signed in before the code expired: start the sign-in again.",
}

// Remedy is what an administrator has to change; "" when nothing needs to be.
func (e *Error) Remedy() string {
	if e.Temporary() {
		return ""
	}
	for _, key := range []string{e.Number, e.Code} {
		if r := remedies[key]; r != "" {
			return r
		}
	}
	return "The token endpoint refuses the sign-in: check tenant, client ID and secret or certificate in the configuration."
}

var aadsts = regexp.MustCompile(`AADSTS[0-9]{4,8}`)

const maxDescription = 200

// explain makes an Error of the library's, leaving out the answer's body, which may hold anything.
func explain(err error) error {
	var re *oauth2.RetrieveError
	if !errors.As(err, &re) {
		if errors.Is(err, ErrSignIn) {
			return err
		}
		return fmt.Errorf("token: %w", err)
	}
	e := &Error{Code: smtpstack.OneLine(re.ErrorCode), Number: aadsts.FindString(re.ErrorDescription)}
	if re.Response != nil {
		e.Status = re.Response.StatusCode
	}
	if e.Code == "" || len(e.Code) > 64 {
		e.Code = fmt.Sprintf("HTTP status %d", e.Status)
	}
	text, _, _ := strings.Cut(smtpstack.OneLine(re.ErrorDescription), " Trace ID:")
	if len(text) > maxDescription {
		text = strings.ToValidUTF8(text[:maxDescription], "")
	}
	e.Text = text
	return e
}
