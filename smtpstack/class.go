package smtpstack

import (
	"fmt"
	"strings"
)

// Class says what the mail queue does about a reply.
type Class int

// The classes. Only Delivered and Permanent end a message for a recipient by themselves.
const (
	Delivered     Class = iota + 1 // 2xx
	Temporary                      // try again with growing intervals
	Throttle                       // too fast: back off, fewer connections
	Split                          // too many recipients at once: the rest in another transaction
	Quota                          // the mailbox is full or over its limits: retry hours later, also after 5xx
	Configuration                  // something is set wrong here or at the provider: hold, alarm with the remedy, never bounce
	BadRecipient                   // no such mailbox or it refuses us: fallback mailbox
	Permanent                      // this message will never be taken
)

var classNames = [...]string{"unknown", "delivered", "temporary", "throttle", "split", "quota", "configuration",
	"recipient", "permanent"}

func (c Class) String() string {
	if c < 0 || int(c) >= len(classNames) {
		return fmt.Sprintf("class %d", int(c))
	}
	return classNames[c]
}

// rule is one line of the table: replies whose code or enhanced status match. Zero fields match anything.
type rule struct {
	code             int    // reply code
	class            int    // first digit of the enhanced status
	subject          int    // second; -1 matches any, as 0 is a subject of its own
	lo, hi           int    // range of the third
	contains, remedy string // words in the text, lower case; what to do
	is               Class
}

// rules are tried in order. Sources: Microsoft Learn "Non-delivery reports in Exchange Online" and "SMTP error
// reference", RFC 3463, RFC 4954, RFC 5321, RFC 7505. Changing one means changing the table in its test too.
var rules = []rule{
	// Sign-in and sender rights of Exchange Online.
	{subject: 7, lo: 3, hi: 3, contains: "starttls", is: Configuration, remedy: "The server demands encryption: set this send connector's TLS to required."},
	{subject: 7, lo: 3, hi: 3, is: Configuration, remedy: "The sign-in was refused: check user name, password or token, and that authenticated SMTP is enabled for the mailbox (PowerShell: Set-CASMailbox -Identity MAILBOX -SmtpClientAuthenticationDisabled $false)."},
	{subject: 7, lo: 8, hi: 9, is: Configuration, remedy: "The sign-in was refused: check user name and password of the send connector."},
	{subject: 7, lo: 139, hi: 139, is: Configuration, remedy: "The sign-in is blocked by the organisation: enable authenticated SMTP for the tenant and the mailbox, check security defaults and conditional access, or use OAuth (PowerShell: Set-TransportConfig -SmtpClientAuthenticationDisabled $false; Set-CASMailbox -Identity MAILBOX -SmtpClientAuthenticationDisabled $false)."},
	{subject: 7, lo: 30, hi: 30, is: Configuration, remedy: "The provider has switched off password sign-in for SMTP: use OAuth with the permission SMTP.SendAsApp, a certificate connector or an IP connector (PowerShell: Add-MailboxPermission -Identity MAILBOX -User SERVICE-PRINCIPAL -AccessRights FullAccess)."},
	{subject: 7, lo: 57, hi: 57, is: Configuration, remedy: "The server wants a sign-in before it takes mail: set user name and password or token, or create a connector for this host's address (PowerShell: New-InboundConnector -Name Tipring -ConnectorType OnPremises -SenderDomains * -SenderIPAddresses ADDRESS)."},
	{subject: 7, lo: 60, hi: 60, is: Configuration, remedy: "The signed-in mailbox may not send as this sender: grant it Send As, or send from its own address (PowerShell: Add-RecipientPermission -Identity SENDER -Trustee MAILBOX -AccessRights SendAs)."},
	{subject: 7, lo: 64, hi: 64, is: Configuration, remedy: "No inbound connector of the tenant matches: check its certificate name or IP address, that the certificate is sent with its whole chain, and that the sender's domain is accepted (PowerShell: New-InboundConnector -Name Tipring -ConnectorType OnPremises -SenderDomains * -RequireTls $true -TlsSenderCertificateName CERTIFICATE-NAME)."},
	{subject: 7, lo: 68, hi: 68, is: Configuration, remedy: "The organisation refuses Direct Send: create an inbound connector for this host, or switch RejectDirectSend off (PowerShell: New-InboundConnector -Name Tipring -ConnectorType OnPremises -SenderDomains * -RequireTls $true -TlsSenderCertificateName CERTIFICATE-NAME; or Set-OrganizationConfig -RejectDirectSend $false)."},
	{class: 5, subject: 2, lo: 252, hi: 252, is: Configuration, remedy: "The signed-in mailbox may not send as the address in the From line: grant it Send As, or send from its own address (PowerShell: Add-RecipientPermission -Identity SENDER -Trustee MAILBOX -AccessRights SendAs)."},
	{subject: 7, lo: 705, hi: 705, is: Configuration, remedy: "The tenant has exceeded its sending limits or is blocked: an administrator must lift the restriction."},
	{subject: 7, lo: 708, hi: 708, is: Configuration, remedy: "Mail from this address range is not taken from this tenant: use client submission or ask the provider's support."},
	{subject: 7, lo: 606, hi: 649, is: Configuration, remedy: "The sending IP address is on the provider's block list: have it removed in the delist portal, or send through a smart host."},
	{subject: 7, lo: 509, hi: 509, is: Configuration, remedy: "The message fails DMARC of the sender's domain: add this host to SPF, or sign with DKIM."},
	{subject: 7, lo: 506, hi: 506, is: Configuration, remedy: "The server refuses this host's EHLO name: set the connector's host name to this host's own full DNS name."},
	{subject: 7, lo: 512, hi: 512, is: Configuration, remedy: "The From line is not one valid address: correct the sender address of notices and received faxes."},
	{subject: 7, lo: 25, hi: 26, is: Configuration, remedy: "Over IPv6 the server wants a PTR record and SPF or DKIM: add them, or send over IPv4."},
	{code: 421, subject: 7, lo: 66, hi: 66, is: Configuration, remedy: "The server demands a current TLS version or a certificate: set this send connector's TLS to required and check the certificate."},

	// Too fast, too many.
	{class: 4, subject: 7, lo: 500, hi: 699, is: Throttle},
	{class: 4, subject: 7, lo: 850, hi: 899, is: Throttle},
	{class: 4, subject: 3, lo: 2, hi: 2, is: Throttle},
	{subject: 5, lo: 3, hi: 3, is: Split},

	// Mailbox over its limits.
	{class: 5, subject: 1, lo: 90, hi: 90, is: Quota},
	{class: 5, subject: 2, lo: 2, hi: 2, is: Quota},
	{class: 5, subject: 2, lo: 121, hi: 122, is: Quota},
	{class: 5, subject: 2, lo: 0, hi: 0, contains: "submissionquotaexceeded", is: Quota}, // recipients a day of client submission
	{class: 5, subject: 7, lo: 232, hi: 233, is: Quota},                                  // the tenant's external recipients a day

	// The recipient.
	{class: 5, subject: 1, lo: 7, hi: 8, is: Configuration, remedy: "The server refuses the sender's address: correct the sender address of notices and received faxes."},
	{class: 5, subject: 1, lo: 0, hi: 999, is: BadRecipient},
	{class: 5, subject: 2, lo: 1, hi: 1, is: BadRecipient},
	{class: 5, subject: 4, lo: 1, hi: 1, is: BadRecipient},
	{class: 5, subject: 7, lo: 12, hi: 12, is: BadRecipient},
	{class: 5, subject: 7, lo: 124, hi: 124, is: BadRecipient},
	{class: 5, subject: 7, lo: 133, hi: 134, is: BadRecipient},
	{class: 5, subject: 7, lo: 136, hi: 136, is: BadRecipient},

	// Other refusals for security or policy: a person has to look; bouncing would lose faxes.
	{class: 5, subject: 7, lo: 0, hi: 999, is: Configuration, remedy: "The server refuses this mail by its policy: check that it accepts mail from this host's address, for this sender and to this recipient."},
	{code: 530, subject: -1, is: Configuration, remedy: "The server wants a sign-in or encryption first: set user name and password, and TLS to required."},
	{code: 534, subject: -1, is: Configuration, remedy: "The server does not accept this way of signing in: choose another in the send connector."},
	{code: 535, subject: -1, is: Configuration, remedy: "The sign-in was refused: check user name and password of the send connector."},
	{code: 538, subject: -1, is: Configuration, remedy: "The server wants encryption before the sign-in: set TLS to required."},
}

// Classify says what to do about a reply. enhanced may be empty; text is the rest of the reply.
func Classify(code int, enhanced, text string) Class {
	c, _ := classify(code, enhanced, text)
	return c
}

// Remedy is a sentence for the administrator on what to change, for replies of class Configuration; "" for others.
func Remedy(code int, enhanced, text string) string {
	_, remedy := classify(code, enhanced, text)
	return remedy
}

func classify(code int, enhanced, text string) (Class, string) {
	if code >= 200 && code < 300 {
		return Delivered, ""
	}
	st, hasStatus := parseStatus(enhanced)
	lower := strings.ToLower(text)
	for i := range rules {
		if rules[i].matches(code, st, hasStatus, lower) {
			return rules[i].is, rules[i].remedy
		}
	}
	switch {
	case code >= 400 && code < 500:
		return Temporary, ""
	case !hasStatus && (code == 550 || code == 551 || code == 553):
		return BadRecipient, "" // RFC 5321 4.2.3: about the mailbox
	case code >= 500 && code < 600:
		return Permanent, ""
	}
	return Temporary, "" // no SMTP at all: not the message's fault
}

func (r *rule) matches(code int, st [3]int, hasStatus bool, lower string) bool {
	if r.code != 0 && r.code != code {
		return false
	}
	if r.contains != "" && !strings.Contains(lower, r.contains) {
		return false
	}
	if r.subject < 0 {
		return true
	}
	return hasStatus && (r.class == 0 || r.class == st[0]) && r.subject == st[1] && st[2] >= r.lo && st[2] <= r.hi
}
