package scenarios

// Forget drops what is kept, so that a benchmark reads all again.
func (s *Service) Forget() { s.forget() }
