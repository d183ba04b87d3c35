package t30

// identLen is the length of the digits of CSI, TSI, CIG, SUB, SEP, PSA, PWD and SID (T.30 5.3.6.2.4 and following).
const identLen = 20

// encodeIdent puts s into a FIF: last digit first, padded with spaces (T.30 5.3.6.2.4, Table 3). T.30 allows digits,
// '+', '*', '#' and space; what else s has is left out.
func encodeIdent(s string) []byte {
	var clean []byte
	for i := 0; i < len(s); i++ {
		if c := s[i]; c >= '0' && c <= '9' || c == '+' || c == ' ' || c == '*' || c == '#' {
			clean = append(clean, c)
		}
	}
	clean = clean[max(0, len(clean)-identLen):]
	fif := make([]byte, identLen)
	for i := range fif {
		fif[i] = ' '
		if i < len(clean) {
			fif[i] = clean[len(clean)-1-i]
		}
	}
	return fif
}

// decodeIdent is the inverse of encodeIdent. Field: many machines put letters in; printable ASCII is kept, anything
// else becomes '?', and outer spaces go.
func decodeIdent(fif []byte) string {
	fif = fif[:min(len(fif), identLen)]
	out := make([]byte, len(fif))
	for i, c := range fif {
		if c < ' ' || c > '~' {
			c = '?'
		}
		out[len(fif)-1-i] = c
	}
	for len(out) > 0 && out[0] == ' ' {
		out = out[1:]
	}
	for len(out) > 0 && out[len(out)-1] == ' ' {
		out = out[:len(out)-1]
	}
	return string(out)
}
