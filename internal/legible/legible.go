// Package legible makes text fit to be shown: what other programs and other machines said can hold anything, terminal escapes too.
package legible

import (
	"reflect"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Line returns s as one line that does nothing to a terminal: what is not printable stands as in a Go string, "\n" or "\x1b".
func Line(s string) string { return clean(s, false) }

// Text is Line for text of several lines.
func Text(s string) string { return clean(s, true) }

// Clause is Line in at most limit bytes. What was cut off is marked by "…", which counts.
func Clause(s string, limit int) string {
	const more = "…"
	s = Line(s[:min(len(s), limit+1)]) // it only grows
	if len(s) <= limit {
		return s
	}
	end := limit - len(more)
	for end > 0 && !utf8.RuneStart(s[end]) {
		end--
	}
	return s[:end] + more
}

func clean(s string, lines bool) string {
	shown := func(r rune) bool { return unicode.IsPrint(r) || lines && r == '\n' }
	if utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool { return !shown(r) }) {
		return s
	}
	var b strings.Builder
	for len(s) > 0 {
		r, size := utf8.DecodeRuneInString(s)
		if shown(r) && (r != utf8.RuneError || size > 1) {
			b.WriteString(s[:size])
		} else {
			quoted := strconv.Quote(s[:size])
			b.WriteString(quoted[1 : len(quoted)-1])
		}
		s = s[size:]
	}
	return b.String()
}

// Strings makes a Line of every string that v points to: in exported fields, elements of slices and values of maps.
func Strings(v any) { walk(reflect.ValueOf(v)) }

func walk(v reflect.Value) {
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			walk(v.Elem())
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				walk(v.Field(i))
			}
		}
	case reflect.Slice:
		for i := range v.Len() {
			walk(v.Index(i))
		}
	case reflect.Map:
		walkMap(v)
	case reflect.String:
		v.SetString(Line(v.String()))
	}
}

// walkMap makes the map anew, as its keys are text too.
func walkMap(v reflect.Value) {
	if v.IsNil() {
		return
	}
	fresh := reflect.MakeMapWithSize(v.Type(), v.Len())
	for it := v.MapRange(); it.Next(); {
		key, value := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
		key.Set(it.Key())
		value.Set(it.Value())
		walk(key)
		walk(value)
		fresh.SetMapIndex(key, value)
	}
	v.Set(fresh)
}
