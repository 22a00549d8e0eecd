package controller

// Observers tells several of each change, in their order.
type Observers []Observer

// Changed implements Observer.
func (all Observers) Changed(c Change) {
	for _, o := range all {
		o.Changed(c)
	}
}
