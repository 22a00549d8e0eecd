package ec2fake

import (
	"fmt"
	"net/url"
	"path"
	"slices"
	"strings"
)

// filter is one Filter.N of a Describe action: a resource matches if one of its values matches one of the filter's, which
// may contain the wildcards * and ?.
type filter struct {
	name   string
	values []string
}

// resource maps filter names to the values of one thing.
type resource map[string][]string

// filters reads the filters of a request. Only known names and tags are taken.
func filters(form url.Values, known ...string) ([]filter, *apiError) {
	var out []filter
	for n := 1; ; n++ {
		prefix := fmt.Sprintf("Filter.%d.", n)
		name := form.Get(prefix + "Name")
		if name == "" {
			return out, nil
		}
		if !slices.Contains(known, name) && !strings.HasPrefix(name, "tag:") && name != "tag-key" {
			return nil, errClient("InvalidParameterValue", "The filter '"+name+"' is invalid")
		}
		out = append(out, filter{name: name, values: list(form, prefix+"Value")})
	}
}

// list reads NAME.1, NAME.2, ...
func list(form url.Values, name string) []string {
	var out []string
	for n := 1; form.Has(fmt.Sprintf("%s.%d", name, n)); n++ {
		out = append(out, form.Get(fmt.Sprintf("%s.%d", name, n)))
	}
	return out
}

// match reports whether the resource passes all filters.
func match(all []filter, r resource) bool {
	return !slices.ContainsFunc(all, func(f filter) bool { return !f.match(r[f.name]) })
}

func (f filter) match(values []string) bool {
	return slices.ContainsFunc(f.values, func(pattern string) bool {
		return slices.ContainsFunc(values, func(v string) bool {
			ok, err := path.Match(pattern, v)
			return ok && err == nil || pattern == v
		})
	})
}

// withTags adds a resource's tags.
func (r resource) withTags(tags map[string]string) resource {
	for k, v := range tags {
		r["tag:"+k] = []string{v}
		r["tag-key"] = append(r["tag-key"], k)
	}
	return r
}
