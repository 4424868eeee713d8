package terminology

import (
	"fmt"
	"strings"
)

// CheckUCUM says what is wrong with a UCUM unit (case sensitive form), nil for a valid one.
func CheckUCUM(code string) error {
	if code == "" {
		return fmt.Errorf("a unit code is empty")
	}
	p := ucumParser{s: code}
	if p.peek() == '/' {
		p.i++
	}
	if err := p.term(0); err != nil {
		return fmt.Errorf("%q is no UCUM unit: at %d: %w", code, p.i+1, err)
	}
	if p.i < len(code) {
		return fmt.Errorf("%q is no UCUM unit: at %d: %q is not expected", code, p.i+1, code[p.i:])
	}
	return nil
}

type ucumParser struct {
	s string
	i int
}

func (p *ucumParser) peek() byte {
	if p.i < len(p.s) {
		return p.s[p.i]
	}
	return 0
}

func (p *ucumParser) term(depth int) error {
	if depth > 20 {
		return fmt.Errorf("brackets are nested too deeply")
	}
	for {
		if err := p.component(depth); err != nil {
			return err
		}
		if c := p.peek(); c != '.' && c != '/' {
			return nil
		}
		p.i++
	}
}

func (p *ucumParser) component(depth int) error {
	switch p.peek() {
	case '(':
		p.i++
		if p.peek() == '/' {
			p.i++
		}
		if err := p.term(depth + 1); err != nil {
			return err
		}
		if p.peek() != ')' {
			return fmt.Errorf("a closing bracket is missing")
		}
		p.i++
		return nil
	case '{':
		return p.annotation()
	}
	start := p.i
	for p.i < len(p.s) && !strings.ContainsRune("./(){}", rune(p.s[p.i])) {
		if p.s[p.i] == '[' { // a bracketed symbol may hold any of these
			end := strings.IndexByte(p.s[p.i:], ']')
			if end < 0 {
				return fmt.Errorf("a closing ] is missing")
			}
			p.i += end
		}
		p.i++
	}
	unit := p.s[start:p.i]
	if unit == "" {
		return fmt.Errorf("a unit is missing")
	}
	if !validFactor(unit) && !validUnit(unit) {
		p.i = start
		return fmt.Errorf("%q is no unit", unit)
	}
	if p.peek() == '{' {
		return p.annotation()
	}
	return nil
}

func (p *ucumParser) annotation() error {
	end := strings.IndexByte(p.s[p.i:], '}')
	if end < 0 {
		return fmt.Errorf("a closing } is missing")
	}
	for _, c := range []byte(p.s[p.i+1 : p.i+end]) {
		if c <= ' ' || c > '~' || c == '{' {
			return fmt.Errorf("an annotation holds a blank or another character that it must not")
		}
	}
	p.i += end + 1
	return nil
}

func validFactor(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return true
}

// validUnit takes an exponent off and looks the rest up, with and without a prefix.
func validUnit(s string) bool {
	end := len(s)
	for end > 0 && s[end-1] >= '0' && s[end-1] <= '9' {
		end--
	}
	if knownUnit(s) {
		return true
	}
	if end < len(s) {
		if end > 0 && (s[end-1] == '-' || s[end-1] == '+') {
			end--
		}
		return end > 0 && knownUnit(s[:end])
	}
	return false
}

func knownUnit(s string) bool {
	if has(metricUnits, s) || has(otherUnits, s) {
		return true
	}
	for _, n := range [...]int{1, 2} {
		if len(s) > n && has(prefixes, s[:n]) && has(metricUnits, s[n:]) {
			return true
		}
	}
	return strings.HasPrefix(s, "10*") && validExponent(s[3:]) || strings.HasPrefix(s, "10^") && validExponent(s[3:])
}

func validExponent(s string) bool {
	if s != "" && (s[0] == '+' || s[0] == '-') {
		s = s[1:]
		return s != "" && validFactor(s)
	}
	return validFactor(s)
}

// has looks a symbol up in a list parted by blanks.
func has(list, symbol string) bool {
	for {
		i := strings.Index(list, symbol)
		if i < 0 {
			return false
		}
		end := i + len(symbol)
		if (i == 0 || list[i-1] == ' ') && (end == len(list) || list[end] == ' ') {
			return symbol != "" && !strings.Contains(symbol, " ")
		}
		list = list[i+1:]
	}
}

// The symbols of UCUM, case sensitive form.
const (
	prefixes = "Y Z E P T G M k h da d c m u n p f a z y Ki Mi Gi Ti"

	metricUnits = "m s g rad K C cd mol sr Hz N Pa J W A V F Ohm S Wb Cel T H lm lx Bq Gy Sv l L ar t bar u eV pc " +
		"gf Ky G Oe Gb Mx Lmb Lbt st kat U [iU] [IU] cal cal_[15] cal_[20] cal_m cal_IT cal_th eq osm g% Np B B[SPL] B[V] B[mV] B[uV] " +
		"B[10.nV] B[W] B[kW] bit_s bit By Bd Ci R RAD REM dyn erg P St ph sb Gal m[H2O] m[Hg] [e] [eps_0] [mu_0] [k] [h] [c] [m_e] [m_p] " +
		"[G] [g] [ly] tex mho [Cal]"

	otherUnits = "10* 10^ % [ppth] [ppm] [ppb] [pptr] [pi] gon deg ' '' min h d a a_t a_j a_g wk mo mo_s mo_j mo_g AU atm [lbf_av] " +
		"[in_i] [ft_i] [yd_i] [mi_i] [fth_i] [nmi_i] [kn_i] [sin_i] [sft_i] [syd_i] [cin_i] [cft_i] [cyd_i] [bf_i] [cr_i] [mil_i] [cml_i] [hd_i] " +
		"[ft_us] [yd_us] [in_us] [rd_us] [ch_us] [lk_us] [rch_us] [rlk_us] [fth_us] [fur_us] [mi_us] [acr_us] [srd_us] [smi_us] [sct] [twp] [mil_us] " +
		"[in_br] [ft_br] [rd_br] [ch_br] [lk_br] [fth_br] [pc_br] [yd_br] [mi_br] [nmi_br] [kn_br] [acr_br] " +
		"[gal_us] [bbl_us] [qt_us] [pt_us] [gil_us] [foz_us] [fdr_us] [min_us] [crd_us] [bu_us] [gal_wi] [pk_us] [dqt_us] [dpt_us] " +
		"[tbs_us] [tsp_us] [cup_us] [foz_m] [cup_m] [tsp_m] [tbs_m] [gal_br] [pk_br] [bu_br] [qt_br] [pt_br] [gil_br] [foz_br] [fdr_br] [min_br] " +
		"[gr] [lb_av] [oz_av] [dr_av] [scwt_av] [lcwt_av] [ston_av] [lton_av] [stone_av] [pwt_tr] [oz_tr] [lb_tr] [sc_ap] [dr_ap] [oz_ap] [lb_ap] [oz_m] " +
		"[lne] [pnt] [pca] [pnt_pr] [pca_pr] [pied] [pouce] [ligne] [didot] [cicero] [degF] [degR] [degRe] [Btu_39] [Btu_59] [Btu_60] [Btu_m] [Btu_IT] " +
		"[Btu_th] [Btu] [HP] [den] [in_i'H2O] [in_i'Hg] [PRU] [wood'U] [diop] [p'diop] %[slope] [mesh_i] [Ch] [drp] [hnsf'U] [MET] [hp'_X] [hp'_C] " +
		"[hp'_M] [hp'_Q] [hp_X] [hp_C] [hp_M] [hp_Q] [kp_X] [kp_C] [kp_M] [kp_Q] [pH] [S] [HPF] [LPF] [arb'U] [USP'U] [GPL'U] [MPL'U] [APL'U] " +
		"[beth'U] [anti'Xa'U] [todd'U] [dye'U] [smgy'U] [bdsk'U] [ka'U] [knk'U] [mclg'U] [tb'U] [CCID_50] [TCID_50] [EID_50] [PFU] [FFU] [CFU] [IR] " +
		"[BAU] [AU] [Amb'a'1'U] [PNU] [Lf] [D'ag'U] [FEU] [ELU] [EU] [NTU] [FNU] [p.m.] [rtp] [m/s2/Hz^0.5] circ sph [car_m] [car_Au] [smoot] [psi]"
)
