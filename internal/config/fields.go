package config

import "reflect"

// fieldSet is what a struct can hold, by YAML key, with the fields of inlined structs among its own.
type fieldSet struct {
	keys  []string // in the order of the struct
	byKey map[string]reflect.Value
}

func fieldsOf(v reflect.Value) *fieldSet {
	set := &fieldSet{byKey: map[string]reflect.Value{}}
	set.add(v)
	return set
}

func (s *fieldSet) add(v reflect.Value) {
	for i := range v.NumField() {
		field := v.Type().Field(i)
		if field.Anonymous {
			s.add(v.Field(i))
			continue
		}
		key := field.Tag.Get("yaml")
		s.keys = append(s.keys, key)
		s.byKey[key] = v.Field(i)
	}
}

// nearest returns the key that was probably meant: the closest within two edits and a third of its length, or "". It is
// never the opposite of the word: keepalived's nopreempt is not a misspelt preempt.
func nearest(word string, keys []string) string {
	best, distance := "", 3
	for _, key := range keys {
		if d := editDistance(word, key); d < distance && d*3 <= len(key) && word != "no"+key {
			best, distance = key, d
		}
	}
	return best
}

// editDistance is Levenshtein's: insertions, deletions and replacements of bytes.
func editDistance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
