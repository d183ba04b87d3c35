package phone

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/tipring/tipring/modem/at"
)

// countries are the country codes of ITU-T T.35 Annex A, as +GCI (V.250 6.1.9) takes them, by ISO 3166 code. Annex A is older than
// some states: SK has the code of Czechoslovakia. Field: FE for Taiwan is Rockwell's and Conexant's.
var countries = map[string]byte{
	"AE": 0xB3, "AR": 0x07, "AT": 0x0A, "AU": 0x09, "BE": 0x0F, "BG": 0x1B, "BH": 0x0B, "BO": 0x14, "BR": 0x16, "BY": 0x1E, "CA": 0x20, "CH": 0xA6,
	"CL": 0x25, "CN": 0x26, "CO": 0x27, "CR": 0x2B, "CY": 0x2D, "CZ": 0x2E, "DE": 0x42, "DK": 0x31, "DO": 0x33, "DZ": 0x02,
	"EC": 0x35, "EG": 0x36, "ES": 0xA0, "FI": 0x3C, "FR": 0x3D, "GB": 0xB4, "GR": 0x46, "GT": 0x49, "HK": 0x50, "HU": 0x51,
	"ID": 0x54, "IE": 0x57, "IL": 0x58, "IN": 0x53, "IS": 0x52, "IT": 0x59, "JO": 0x5E, "JP": 0x00, "KE": 0x5F, "KR": 0x61,
	"KW": 0x62, "LB": 0x64, "LI": 0x68, "LK": 0xA1, "LU": 0x69, "MA": 0x77, "MC": 0x74, "MO": 0x6A, "MT": 0x70, "MX": 0x73, "MY": 0x6C,
	"NG": 0x81, "NL": 0x7B, "NO": 0x82, "NZ": 0x7E, "OM": 0x83, "PA": 0x85, "PE": 0x88, "PH": 0x89, "PK": 0x84, "PL": 0x8A, "PR": 0x8C, "PT": 0x8B,
	"PY": 0x87, "QA": 0x8D, "RO": 0x8E, "RU": 0xB8, "SA": 0x98, "SE": 0xA5, "SG": 0x9C, "SK": 0x2E, "SM": 0x94, "SN": 0x99, "SV": 0x37, "TH": 0xA9,
	"TN": 0xAD, "TR": 0xAE, "TW": 0xFE, "UA": 0xB2, "US": 0xB5, "UY": 0xB7, "VE": 0xBB, "VN": 0xBC, "ZA": 0x9F,
}

// CountryCode is the T.35 code of a country given by its ISO 3166 code, or of two hexadecimal digits as they are ("#B5").
func CountryCode(country string) (code byte, ok bool) {
	if hex, found := strings.CutPrefix(country, "#"); found {
		n, err := strconv.ParseUint(hex, 16, 8)
		return byte(n), err == nil && len(hex) == 2
	}
	code, ok = countries[strings.ToUpper(country)]
	return code, ok
}

// Countries are the ISO 3166 codes that CountryCode knows, sorted.
func Countries() []string {
	var list []string
	for c := range countries {
		list = append(list, c)
	}
	slices.Sort(list)
	return list
}

// setCountry sends +GCI when the modem is set for another country: some write it into their memory each time, and some put
// their S registers back. Tried once a reset; a refusal is a warning.
func (l *Line) setCountry(ctx context.Context) error {
	code, ok := CountryCode(l.cfg.Country)
	if !ok {
		l.warn("country", fmt.Sprintf("The country %q has no code for +GCI: the modem keeps its own setting.", l.cfg.Country))
		return nil
	}
	r, err := l.ch.Command(ctx, "AT+GCI?", CommandWait)
	if err != nil {
		return err
	}
	want := fmt.Sprintf("%02X", code)
	if r.Code == at.OK && slices.ContainsFunc(r.Info, func(s string) bool {
		_, value, _ := strings.Cut(s, ":")
		return strings.EqualFold(strings.Trim(value, "()\" "), want)
	}) {
		return nil
	}
	set, err := l.ch.Command(ctx, "AT+GCI="+want, CommandWait)
	if err != nil {
		return err
	}
	if set.Code != at.OK {
		l.warn("country", fmt.Sprintf("The modem refuses country %s (+GCI=%s): it keeps its own setting, %q.", l.cfg.Country, want, strings.Join(r.Info, " ")))
	}
	return nil
}
