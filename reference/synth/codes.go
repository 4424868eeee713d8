package synth

// Code systems and naming systems.
const (
	snomed     = "http://snomed.info/sct"
	loinc      = "http://loinc.org"
	rxnorm     = "http://www.nlm.nih.gov/research/umls/rxnorm"
	ndc        = "http://hl7.org/fhir/sid/ndc"
	cvx        = "http://hl7.org/fhir/sid/cvx"
	icd10      = "http://hl7.org/fhir/sid/icd-10-cm"
	cpt        = "http://www.ama-assn.org/go/cpt"
	ucum       = "http://unitsofmeasure.org"
	nucc       = "http://nucc.org/provider-taxonomy"
	npiSystem  = "http://hl7.org/fhir/sid/us-npi"
	tinSystem  = "urn:oid:2.16.840.1.113883.4.4"
	raceSystem = "urn:oid:2.16.840.1.113883.6.238"

	tho       = "http://terminology.hl7.org/CodeSystem/"
	hl7       = "http://hl7.org/fhir/StructureDefinition/"
	usCore    = "http://hl7.org/fhir/us/core/StructureDefinition/"
	pdex      = "http://hl7.org/fhir/us/davinci-pdex/StructureDefinition/"
	pdexCS    = "http://hl7.org/fhir/us/davinci-pdex/CodeSystem/"
	hrex      = "http://hl7.org/fhir/us/davinci-hrex/StructureDefinition/"
	carin     = "http://hl7.org/fhir/us/carin-bb/StructureDefinition/"
	carinCS   = "http://hl7.org/fhir/us/carin-bb/CodeSystem/"
	carinEdit = "|2.0.0" // CARIN BB asks for the version in meta.profile
	atr       = "http://hl7.org/fhir/us/davinci-atr/StructureDefinition/"
)

// Codes used in more than one place.
var (
	memberNumber = code{tho + "v2-0203", "MB", "Member Number"}
	uniqueMember = code{"http://hl7.org/fhir/us/davinci-hrex/CodeSystem/hrex-temp", "UMB", ""}
	npiType      = code{tho + "v2-0203", "NPI", "National provider identifier"}
	vitalSigns   = code{tho + "observation-category", "vital-signs", "Vital Signs"}
	laboratory   = code{tho + "observation-category", "laboratory", "Laboratory"}
	inNetwork    = code{carinCS + "C4BBPayerAdjudicationStatus", "innetwork", "In Network"}
	restricted   = code{tho + "v3-Confidentiality", "R", "restricted"}
)

type unit struct{ name, ucum string }

var (
	percent  = unit{"%", "%"}
	perMin   = unit{"/min", "/min"}
	cm       = unit{"cm", "cm"}
	kg       = unit{"kg", "kg"}
	kgm2     = unit{"kg/m2", "kg/m2"}
	celsius  = unit{"Cel", "Cel"}
	mmHg     = unit{"mmHg", "mm[Hg]"}
	mgdl     = unit{"mg/dL", "mg/dL"}
	mmoll    = unit{"mmol/L", "mmol/L"}
	gdl      = unit{"g/dL", "g/dL"}
	thousand = unit{"10*3/uL", "10*3/uL"}
	million  = unit{"10*6/uL", "10*6/uL"}
	tsh      = unit{"m[IU]/L", "m[IU]/L"}
)

type drug struct {
	rx, ndc code
	sig     string
	units   int // dispensed for days
	days    int
	cents   int
}

// lab is a measured analyte with its reference range.
type lab struct {
	code      code
	unit      unit
	low, high float64
	decimals  int
}

type panel struct {
	code  code
	cents int
	cpt   string
	labs  []lab
}

var (
	metabolic = panel{code{loinc, "24321-2", "Basic metabolic 2000 panel - Serum or Plasma"}, 3100, "80048", []lab{
		{code{loinc, "2345-7", "Glucose [Mass/volume] in Serum or Plasma"}, mgdl, 70, 99, 0},
		{code{loinc, "3094-0", "Urea nitrogen [Mass/volume] in Serum or Plasma"}, mgdl, 7, 20, 0},
		{code{loinc, "2160-0", "Creatinine [Mass/volume] in Serum or Plasma"}, mgdl, 0.6, 1.3, 2},
		{code{loinc, "2951-2", "Sodium [Moles/volume] in Serum or Plasma"}, mmoll, 135, 145, 0},
		{code{loinc, "2823-3", "Potassium [Moles/volume] in Serum or Plasma"}, mmoll, 3.5, 5.1, 1},
	}}
	lipids = panel{code{loinc, "24331-1", "Lipid 1996 panel - Serum or Plasma"}, 4700, "80061", []lab{
		{code{loinc, "2093-3", "Cholesterol [Mass/volume] in Serum or Plasma"}, mgdl, 125, 200, 0},
		{code{loinc, "2571-8", "Triglyceride [Mass/volume] in Serum or Plasma"}, mgdl, 40, 150, 0},
		{code{loinc, "2085-9", "Cholesterol in HDL [Mass/volume] in Serum or Plasma"}, mgdl, 40, 80, 0},
		{code{loinc, "13457-7", "Cholesterol in LDL [Mass/volume] in Serum or Plasma by calculation"}, mgdl, 50, 130, 0},
	}}
	bloodCount = panel{code{loinc, "58410-2", "CBC panel - Blood by Automated count"}, 2600, "85027", []lab{
		{code{loinc, "6690-2", "Leukocytes [#/volume] in Blood by Automated count"}, thousand, 4.5, 11, 1},
		{code{loinc, "789-8", "Erythrocytes [#/volume] in Blood by Automated count"}, million, 4.2, 5.9, 2},
		{code{loinc, "718-7", "Hemoglobin [Mass/volume] in Blood"}, gdl, 12, 17, 1},
		{code{loinc, "777-3", "Platelets [#/volume] in Blood by Automated count"}, thousand, 150, 400, 0},
	}}
	glycated = panel{code{loinc, "4548-4", "Hemoglobin A1c/Hemoglobin.total in Blood"}, 2900, "83036", []lab{
		{code{loinc, "4548-4", "Hemoglobin A1c/Hemoglobin.total in Blood"}, percent, 4, 5.6, 1},
	}}
	thyroid = panel{code{loinc, "3016-3", "Thyrotropin [Units/volume] in Serum or Plasma"}, 3500, "84443", []lab{
		{code{loinc, "3016-3", "Thyrotropin [Units/volume] in Serum or Plasma"}, tsh, 0.4, 4.2, 2},
	}}
	routine = []*panel{&metabolic, &bloodCount, &lipids}
)

// condition is a long-standing illness with what goes with it.
type condition struct {
	snomed, icd code
	drug        drug
	panel       *panel
	goal        string
	plan        string
	minAge      int
	sensitive   bool
}

var chronic = []condition{
	{
		snomed: code{snomed, "44054006", "Diabetes mellitus type 2"}, icd: code{icd10, "E11.9", "Type 2 diabetes mellitus without complications"},
		drug: drug{
			code{rxnorm, "861007", "metformin hydrochloride 500 MG Oral Tablet"},
			code{ndc, "00093104801", ""},
			"Take one tablet by mouth twice daily with meals", 180, 90, 1450,
		},
		panel: &glycated, goal: "Hemoglobin A1c below 7 percent", plan: "Diabetes self-management: diet, activity, home glucose log", minAge: 30,
	},
	{
		snomed: code{snomed, "59621000", "Essential hypertension"}, icd: code{icd10, "I10", "Essential (primary) hypertension"},
		drug: drug{
			code{rxnorm, "314076", "lisinopril 10 MG Oral Tablet"},
			code{ndc, "68180098003", ""},
			"Take one tablet by mouth once daily", 90, 90, 980,
		},
		panel: &metabolic, goal: "Blood pressure below 130/80", plan: "Hypertension plan: less salt, home blood pressure readings", minAge: 30,
	},
	{
		snomed: code{snomed, "55822004", "Hyperlipidemia"}, icd: code{icd10, "E78.5", "Hyperlipidemia, unspecified"},
		drug: drug{
			code{rxnorm, "617310", "atorvastatin 20 MG Oral Tablet"},
			code{ndc, "00071015623", ""},
			"Take one tablet by mouth at bedtime", 90, 90, 1875,
		},
		panel: &lipids, goal: "LDL cholesterol below 100 mg/dL", plan: "Lipid plan: diet, activity, repeat panel in six months", minAge: 35,
	},
	{
		snomed: code{snomed, "195967001", "Asthma"}, icd: code{icd10, "J45.909", "Unspecified asthma, uncomplicated"},
		drug: drug{
			code{rxnorm, "745679", "200 ACTUAT albuterol 0.09 MG/ACTUAT Metered Dose Inhaler"},
			code{ndc, "00173068220", ""},
			"Inhale two puffs every four to six hours as needed", 1, 30, 5210,
		},
		panel: &bloodCount, goal: "No night-time asthma symptoms", plan: "Asthma action plan with peak flow zones", minAge: 4,
	},
	{
		snomed: code{snomed, "40930008", "Hypothyroidism"}, icd: code{icd10, "E03.9", "Hypothyroidism, unspecified"},
		drug: drug{
			code{rxnorm, "966222", "levothyroxine sodium 0.075 MG Oral Tablet"},
			code{ndc, "00074518290", ""},
			"Take one tablet by mouth in the morning on an empty stomach", 90, 90, 2340,
		},
		panel: &thyroid, goal: "Thyrotropin within the reference range", plan: "Thyroid replacement with yearly thyrotropin", minAge: 18,
	},
	{
		snomed: code{snomed, "235595009", "Gastroesophageal reflux disease"}, icd: code{icd10, "K21.9", "Gastro-esophageal reflux disease without esophagitis"},
		drug: drug{
			code{rxnorm, "198051", "omeprazole 20 MG Delayed Release Oral Capsule"},
			code{ndc, "00186074231", ""},
			"Take one capsule by mouth before breakfast", 30, 30, 1620,
		},
		panel: &bloodCount, goal: "Fewer than one reflux episode a week", plan: "Reflux plan: meal timing, head of bed raised", minAge: 18,
	},
	{
		snomed: code{snomed, "239873007", "Osteoarthritis of knee"}, icd: code{icd10, "M17.9", "Osteoarthritis of knee, unspecified"},
		drug: drug{
			code{rxnorm, "310965", "ibuprofen 200 MG Oral Tablet"},
			code{ndc, "00573015020", ""},
			"Take two tablets by mouth every six hours as needed for pain", 120, 30, 890,
		},
		panel: &metabolic, goal: "Walk thirty minutes on five days a week", plan: "Knee plan: physical therapy, weight management", minAge: 50,
	},
	{
		snomed: code{snomed, "35489007", "Depressive disorder"}, icd: code{icd10, "F32.A", "Depression, unspecified"},
		drug: drug{
			code{rxnorm, "312941", "sertraline 50 MG Oral Tablet"},
			code{ndc, "00049490030", ""},
			"Take one tablet by mouth once daily", 30, 30, 1240,
		},
		panel: &thyroid, goal: "PHQ-9 score below 5", plan: "Counselling every second week, medication review", minAge: 16, sensitive: true,
	},
}

// alcohol is what the sensitive member has.
var alcohol = condition{
	snomed: code{snomed, "66590003", "Alcohol dependence"}, icd: code{icd10, "F10.20", "Alcohol dependence, uncomplicated"},
	drug: drug{
		code{rxnorm, "7243", "naltrexone"},
		code{ndc, "00406117003", ""},
		"Take one tablet by mouth once daily", 30, 30, 6100,
	},
	panel: &metabolic, goal: "No alcohol for six months", plan: "Outpatient counselling, weekly group", sensitive: true,
}

// complaint is a short illness: an encounter diagnosis.
type complaint struct{ snomed, icd code }

var complaints = []complaint{
	{code{snomed, "10509002", "Acute bronchitis"}, code{icd10, "J20.9", "Acute bronchitis, unspecified"}},
	{code{snomed, "195662009", "Acute viral pharyngitis"}, code{icd10, "J02.9", "Acute pharyngitis, unspecified"}},
	{code{snomed, "36971009", "Sinusitis"}, code{icd10, "J01.90", "Acute sinusitis, unspecified"}},
	{code{snomed, "65363002", "Otitis media"}, code{icd10, "H66.90", "Otitis media, unspecified, unspecified ear"}},
	{code{snomed, "68566005", "Urinary tract infectious disease"}, code{icd10, "N39.0", "Urinary tract infection, site not specified"}},
	{code{snomed, "279039007", "Low back pain"}, code{icd10, "M54.50", "Low back pain, unspecified"}},
	{code{snomed, "44465007", "Sprain of ankle"}, code{icd10, "S93.409A", ""}},
}

type vaccine struct {
	code   code
	maxAge int // years; the youngest get the others
	minAge int
}

var vaccines = []vaccine{
	{code{cvx, "140", "Influenza, seasonal, injectable, preservative free"}, 120, 1},
	{code{cvx, "115", "Tdap"}, 120, 11},
	{code{cvx, "33", "pneumococcal polysaccharide PPV23"}, 120, 65},
	{code{cvx, "20", "DTaP"}, 6, 0},
	{code{cvx, "03", "MMR"}, 6, 1},
	{code{cvx, "21", "varicella"}, 12, 1},
}

// operation is a procedure with what the facility charges.
type operation struct {
	snomed  code
	cpt     string
	icd     code
	revenue string
	cents   int
	minAge  int
}

var operations = []operation{
	{code{snomed, "73761001", "Colonoscopy"}, "45378", code{icd10, "Z12.11", "Encounter for screening for malignant neoplasm of colon"}, "0750", 128500, 45},
	{code{snomed, "80146002", "Appendectomy"}, "44970", code{icd10, "K35.80", "Unspecified acute appendicitis"}, "0360", 742000, 5},
	{code{snomed, "274474001", "Bone immobilization"}, "29515", code{icd10, "S82.891A", ""}, "0450", 61000, 0},
	{code{snomed, "609588000", "Total knee replacement"}, "27447", code{icd10, "M17.9", "Osteoarthritis of knee, unspecified"}, "0360", 2875000, 50},
}

type implant struct{ kind, icd code }

var implants = []implant{
	{code{snomed, "14106009", "Cardiac pacemaker"}, code{icd10, "Z95.0", "Presence of cardiac pacemaker"}},
	{code{snomed, "304120007", "Total hip replacement prosthesis"}, code{icd10, "Z96.649", ""}},
}

// equipment is a device that is not implanted.
var equipment = code{snomed, "337414009", "Blood glucose meter"}

type allergen struct{ substance, reaction code }

var allergens = []allergen{
	{code{rxnorm, "7980", "Penicillin G"}, code{snomed, "247472004", "Weal"}},
	{code{rxnorm, "723", "Amoxicillin"}, code{snomed, "271807003", "Eruption of skin"}},
	{code{rxnorm, "10180", "Sulfamethoxazole"}, code{snomed, "271807003", "Eruption of skin"}},
	{code{rxnorm, "2670", "Codeine"}, code{snomed, "422587007", "Nausea"}},
	{code{rxnorm, "5640", "Ibuprofen"}, code{snomed, "126485001", "Urticaria"}},
}

var smoking = []code{
	{snomed, "266919005", "Never smoker"},
	{snomed, "8517006", "Former smoker"},
	{snomed, "449868002", "Current every day smoker"},
}

var races = []code{
	{raceSystem, "2106-3", "White"},
	{raceSystem, "2054-5", "Black or African American"},
	{raceSystem, "2028-9", "Asian"},
	{raceSystem, "1002-5", "American Indian or Alaska Native"},
	{raceSystem, "2076-8", "Native Hawaiian or Other Pacific Islander"},
}

var ethnicities = []code{
	{raceSystem, "2186-5", "Not Hispanic or Latino"},
	{raceSystem, "2135-2", "Hispanic or Latino"},
}

var specialties = []code{
	{nucc, "207Q00000X", "Family Medicine Physician"},
	{nucc, "207R00000X", "Internal Medicine Physician"},
	{nucc, "208000000X", "Pediatrics Physician"},
	{nucc, "207P00000X", "Emergency Medicine Physician"},
	{nucc, "207X00000X", "Orthopaedic Surgery Physician"},
}
