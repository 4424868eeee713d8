package value

import "strings"

// The conversions of toX(): false means that there is none, which makes toX() empty and convertsToX() false.

// ToBoolean converts as toBoolean() does.
func ToBoolean(v Value) (Boolean, bool) {
	switch x := v.(type) {
	case Boolean:
		return x, true
	case Integer:
		return x == 1, x == 0 || x == 1
	case Decimal:
		one := x.Cmp(FromInt(1)) == 0
		return Boolean(one), one || x.Sign() == 0
	case String:
		switch strings.ToLower(string(x)) {
		case "true", "t", "yes", "y", "1", "1.0":
			return true, true
		case "false", "f", "no", "n", "0", "0.0":
			return false, true
		}
	}
	return false, false
}

// ToInteger converts as toInteger() does.
func ToInteger(v Value) (Integer, bool) {
	switch x := v.(type) {
	case Integer:
		return x, true
	case Boolean:
		if x {
			return 1, true
		}
		return 0, true
	case String:
		s := strings.TrimPrefix(string(x), "+")
		if s == "" || strings.Trim(s, "-0123456789") != "" {
			return 0, false
		}
		d, err := ParseDecimal(s)
		if err != nil {
			return 0, false
		}
		return d.Integer()
	}
	return 0, false
}

// ToDecimal converts as toDecimal() does.
func ToDecimal(v Value) (Decimal, bool) {
	switch x := v.(type) {
	case Decimal:
		return x, true
	case Integer:
		return FromInt(int64(x)), true
	case Boolean:
		if x {
			return Decimal{small: 10, scale: 1}, true
		}
		return Decimal{scale: 1}, true
	case String:
		if strings.ContainsAny(string(x), "eE") {
			return Decimal{}, false
		}
		d, err := ParseDecimal(string(x))
		return d, err == nil
	}
	return Decimal{}, false
}

// ToDate converts as toDate() does.
func ToDate(v Value) (Date, bool) {
	switch x := v.(type) {
	case Date:
		return x, true
	case DateTime:
		return x.Date(), true
	case String:
		d, err := ParseDate(string(x))
		return d, err == nil
	}
	return Date{}, false
}

// ToDateTime converts as toDateTime() does.
func ToDateTime(v Value) (DateTime, bool) {
	switch x := v.(type) {
	case DateTime:
		return x, true
	case Date:
		return x.DateTime(), true
	case String:
		d, err := ParseDateTime(string(x))
		return d, err == nil
	}
	return DateTime{}, false
}

// ToTime converts as toTime() does.
func ToTime(v Value) (Time, bool) {
	switch x := v.(type) {
	case Time:
		return x, true
	case String:
		t, err := ParseTime(strings.TrimPrefix(string(x), "T"))
		return t, err == nil
	}
	return Time{}, false
}

// ToQuantity converts as toQuantity() does.
func ToQuantity(v Value) (Quantity, bool) {
	switch x := v.(type) {
	case Quantity:
		return x, true
	case Boolean:
		d, _ := ToDecimal(x)
		return Quantity{Value: d, Unit: "1"}, true
	case String:
		return ParseQuantity(string(x))
	}
	return quantityOf(v)
}
