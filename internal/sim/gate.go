package sim

import "sync"

// gate stops whoever passes it while it is shut.
type gate struct {
	mu   sync.Mutex
	shut chan struct{} // nil: open
	gone bool          // open for good
}

func (g *gate) close() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.shut == nil && !g.gone {
		g.shut = make(chan struct{})
	}
}

func (g *gate) open() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.release()
}

// demolish opens the gate for good.
func (g *gate) demolish() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.gone = true
	g.release()
}

func (g *gate) release() {
	if g.shut != nil {
		close(g.shut)
		g.shut = nil
	}
}

// isShut reports whether pass would wait.
func (g *gate) isShut() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.shut != nil
}

// pass returns at once while the gate is open, and otherwise when it is.
func (g *gate) pass() {
	for {
		g.mu.Lock()
		shut := g.shut
		g.mu.Unlock()
		if shut == nil {
			return
		}
		<-shut
	}
}
