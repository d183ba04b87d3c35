package t30

// Edges returns the transitions that the charts allow, as the transcript writes them, with their clauses.
func Edges() map[string]string {
	out := map[string]string{}
	for e, clause := range edges {
		out[e.from.String()+" -> "+e.to.String()] = clause
	}
	return out
}
