package instance

import "fhirwire/validators"

// rule indexes the table of rules.
type rule uint8

const (
	ruleJSONSyntax rule = iota
	ruleJSONForm
	ruleJSONComment
	ruleJSONDuplicate
	ruleJSONType
	ruleJSONNull
	ruleArrayExpected
	ruleSingleExpected
	ruleArrayEmpty
	ruleObjectEmpty
	ruleDepth
	ruleResourceTypeMissing
	ruleResourceTypeUnknown
	ruleUnknownElement
	ruleCardinalityMin
	ruleCardinalityMax
	ruleChoiceTwo
	ruleChoiceType
	rulePrimitiveEmpty
	ruleStringEmpty
	ruleStringBlank
	ruleStringTrim
	ruleStringLong
	ruleFormat
	ruleYear
	ruleBase64Blanks
	ruleMarkdownHTML
	ruleCanonicalForm
	ruleCanonicalLocal
	ruleCanonicalTarget
	ruleExampleURL
	ruleMaxLength
	ruleForm
	ruleFormUnchecked
	ruleMinValue
	ruleMaxValue
	ruleBoundUnchecked
	ruleFixed
	rulePattern
	ruleBindingRequired
	ruleBindingExtensible
	ruleBindingMax
	ruleBindingNoCode
	ruleBindingUnchecked
	ruleCodeUnknown
	ruleCodeUnchecked
	ruleCodeShape
	ruleCodeDisplay
	ruleSystemMissing
	ruleSystemRelative
	ruleSystemValueSet
	ruleSliceMin
	ruleSliceMax
	ruleSliceClosed
	ruleSliceOrder
	ruleSliceAmbiguous
	ruleSliceUnchecked
	ruleExtensionURL
	ruleExtensionURLForm
	ruleExtensionUnknown
	ruleExtensionModifierUnknown
	ruleExtensionModifier
	ruleExtensionContext
	ruleExtensionContent
	ruleExtensionNested
	ruleReferenceForm
	ruleReferenceEmpty
	ruleReferenceContained
	ruleReferenceTarget
	ruleReferenceType
	ruleReferenceProfile
	ruleReferenceAggregation
	ruleReferenceBundle
	ruleReferenceAmbiguous
	ruleReferenceUnresolved
	ruleReferenceMissing
	ruleContainedID
	ruleContainedNested
	ruleContainedMeta
	ruleContainedOrphan
	ruleIDDuplicate
	ruleElementID
	ruleUnsafeText
	ruleBundleFullURL
	ruleBundleFullURLForm
	ruleBundleFullURLMatch
	ruleBundleFullURLTwice
	ruleBundleOrphan
	ruleBundleLink
	ruleBundlePageLink
	ruleBundleStylesheet
	ruleSearchType
	ruleQuestionnaireUnknown
	ruleQuestionnaireItem
	ruleQuestionnaireRequired
	ruleQuestionnaireRepeats
	ruleQuestionnaireStructure
	ruleQuestionnaireEnabled
	ruleQuestionnaireType
	ruleQuestionnaireOption
	ruleQuestionnaireLimit
	ruleQuestionnaireCondition
	ruleBundleMode
	ruleBundleSearchType
	ruleBundleSearchID
	ruleNarrativeForm
	ruleNarrativeEmpty
	ruleNarrativeLink
	ruleNarrativeSource
	ruleNarrativeLanguage
	ruleAttachmentSize
	ruleAttachmentHash
	ruleInvariant
	ruleInvariantUnchecked
	ruleProfileUnknown
	ruleProfileType
	ruleProfileFault
	ruleTypeProfile
	ruleResourceKind
	ruleDefinitionElement
	ruleDefinitionCardinality
	ruleDefinitionType
	ruleDefinitionValue
	ruleDefinitionDiscriminator
	ruleDefinitionExpression
	ruleDefinitionSlicing
	ruleDefinitionBase
	ruleDefinitionBinding
	ruleDefinitionOrder
	ruleOperationProfile
	ruleSearchExpression
	ruleSearchComponent
	ruleValueSetSystem
	ruleValueSetFilter
	ruleCodeSystemProperty
	ruleValueSetCode
	ruleCodeSystemContent
	ruleCodeSystemCount
	ruleIdentifierSystem
	ruleIdentifierValue
	numRules
)

const (
	fatal = validators.SeverityFatal
	erro  = validators.SeverityError
	warn  = validators.SeverityWarning
	info  = validators.SeverityInformation
)

// rules is every check of this package. An id never changes its meaning.
var rules = [numRules]validators.Rule{
	ruleJSONSyntax:    {ID: "json-syntax", Severity: fatal, Code: validators.CodeStructure, Title: "The input is one whole JSON value"},
	ruleJSONForm:      {ID: "json-form", Severity: erro, Code: validators.CodeStructure, Title: "Commas, quotes, escapes and numbers are as JSON has them"},
	ruleJSONComment:   {ID: "json-comment", Severity: erro, Code: validators.CodeStructure, Title: "There are no comments in JSON"},
	ruleJSONDuplicate: {ID: "json-duplicate", Severity: erro, Code: validators.CodeDuplicate, Title: "A member name occurs once in an object"},
	ruleJSONType:      {ID: "json-type", Severity: erro, Code: validators.CodeStructure, Title: "A value has the JSON kind of its FHIR type"},
	ruleJSONNull:      {ID: "json-null", Severity: erro, Code: validators.CodeStructure, Title: "Null stands only in an array of primitives whose twin has something at that place"},
	ruleArrayExpected: {ID: "json-array-expected", Severity: erro, Code: validators.CodeStructure, Title: "An element that may repeat is an array"},
	ruleSingleExpected: {
		ID: "json-single-expected", Severity: erro, Code: validators.CodeStructure, Title: "An element that cannot repeat is not an array",
	},
	ruleArrayEmpty:          {ID: "json-array-empty", Severity: erro, Code: validators.CodeStructure, Title: "Arrays have items"},
	ruleObjectEmpty:         {ID: "json-object-empty", Severity: erro, Code: validators.CodeStructure, Title: "Objects have members"},
	ruleDepth:               {ID: "depth", Severity: erro, Code: validators.CodeTooCostly, Title: "Elements nest no deeper than can be checked"},
	ruleResourceTypeMissing: {ID: "resource-type-missing", Severity: erro, Code: validators.CodeStructure, Title: "A resource names its type"},
	ruleResourceTypeUnknown: {ID: "resource-type-unknown", Severity: erro, Code: validators.CodeStructure, Title: "The resource type is one of FHIR R4"},
	ruleUnknownElement:      {ID: "element-unknown", Severity: erro, Code: validators.CodeStructure, Title: "Every member is an element of its type"},
	ruleCardinalityMin:      {ID: "cardinality-min", Severity: erro, Code: validators.CodeRequired, Title: "Required elements are present"},
	ruleCardinalityMax:      {ID: "cardinality-max", Severity: erro, Code: validators.CodeStructure, Title: "Elements occur no more often than allowed"},
	ruleChoiceTwo:           {ID: "choice-two-values", Severity: erro, Code: validators.CodeStructure, Title: "A choice element has one value"},
	ruleChoiceType:          {ID: "choice-type", Severity: erro, Code: validators.CodeStructure, Title: "A choice element has one of its types"},
	rulePrimitiveEmpty:      {ID: "primitive-empty", Severity: erro, Code: validators.CodeInvalid, Title: "A primitive has a value or an extension"},
	ruleStringEmpty:         {ID: "string-empty", Severity: erro, Code: validators.CodeInvalid, Title: "Strings are not empty"},
	ruleStringBlank:         {ID: "string-blank", Severity: warn, Code: validators.CodeValue, Title: "Strings hold more than blanks"},
	ruleStringTrim:          {ID: "string-trim", Severity: warn, Code: validators.CodeValue, Title: "Strings neither start nor end with blanks"},
	ruleStringLong:          {ID: "string-long", Severity: erro, Code: validators.CodeTooLong, Title: "A string is at most 1 MiB"},
	ruleFormat:              {ID: "primitive-format", Severity: erro, Code: validators.CodeValue, Title: "A primitive has the format of its type"},
	ruleYear:                {ID: "date-year", Severity: warn, Code: validators.CodeValue, Title: "Years are plausible"},
	ruleBase64Blanks:        {ID: "base64-blanks", Severity: warn, Code: validators.CodeValue, Title: "Base64 is written without blanks"},
	ruleMarkdownHTML:        {ID: "markdown-html", Severity: erro, Code: validators.CodeValue, Title: "Markdown has no HTML tags"},
	ruleCanonicalForm:       {ID: "canonical-form", Severity: erro, Code: validators.CodeValue, Title: "A canonical is an absolute URL or points to a contained resource"},
	ruleCanonicalLocal:      {ID: "canonical-contained", Severity: erro, Code: validators.CodeNotFound, Title: "A canonical #id points to a contained resource"},
	ruleCanonicalTarget:     {ID: "canonical-target", Severity: erro, Code: validators.CodeInvalid, Title: "A canonical names a definition of an allowed type"},
	ruleMaxLength:           {ID: "max-length", Severity: erro, Code: validators.CodeTooLong, Title: "Text is no longer than the profile allows"},
	ruleExampleURL:          {ID: "url-example", Severity: erro, Code: validators.CodeBusinessRule, Title: "URLs are real ones"},
	ruleForm:                {ID: "value-form", Severity: erro, Code: validators.CodeValue, Title: "A value has the form that its profile gives it"},
	ruleFormUnchecked:       {ID: "value-form-unchecked", Severity: info, Code: validators.CodeNotSupported, Title: "A regular expression of a profile can be evaluated"},
	ruleMinValue:            {ID: "min-value", Severity: erro, Code: validators.CodeValue, Title: "A value is not below its minimum"},
	ruleMaxValue:            {ID: "max-value", Severity: erro, Code: validators.CodeValue, Title: "A value is not above its maximum"},
	ruleBoundUnchecked:      {ID: "bound-unchecked", Severity: info, Code: validators.CodeNotSupported, Title: "A bound in another unit could be compared"},
	ruleFixed:               {ID: "fixed-value", Severity: erro, Code: validators.CodeValue, Title: "A fixed value is sent exactly"},
	rulePattern:             {ID: "pattern-value", Severity: erro, Code: validators.CodeValue, Title: "What a pattern states is present"},
	ruleBindingRequired:     {ID: "binding-required", Severity: erro, Code: validators.CodeCodeInvalid, Title: "A code is in its required value set"},
	ruleBindingExtensible:   {ID: "binding-extensible", Severity: warn, Code: validators.CodeCodeInvalid, Title: "A code is in its extensible value set where that has one that fits"},
	ruleBindingMax:          {ID: "binding-max", Severity: erro, Code: validators.CodeCodeInvalid, Title: "A code is in the maximum value set"},
	ruleBindingNoCode:       {ID: "binding-no-code", Severity: erro, Code: validators.CodeCodeInvalid, Title: "A coded element with a required binding has a code"},
	ruleBindingUnchecked:    {ID: "binding-unchecked", Severity: info, Code: validators.CodeNotSupported, Title: "A value set is at hand to check codes against"},
	ruleCodeUnknown:         {ID: "code-unknown", Severity: erro, Code: validators.CodeCodeInvalid, Title: "A code exists in its code system"},
	ruleCodeUnchecked:       {ID: "code-unchecked", Severity: info, Code: validators.CodeNotSupported, Title: "A code system is at hand to check codes against"},
	ruleCodeShape:           {ID: "code-shape", Severity: warn, Code: validators.CodeCodeInvalid, Title: "A code of a system without an offline copy has the form of its codes"},
	ruleCodeDisplay:         {ID: "code-display", Severity: warn, Code: validators.CodeCodeInvalid, Title: "A display is the one of its code"},
	ruleSystemMissing:       {ID: "code-system-missing", Severity: warn, Code: validators.CodeCodeInvalid, Title: "A Coding with a code names its system"},
	ruleSystemRelative:      {ID: "code-system-relative", Severity: erro, Code: validators.CodeCodeInvalid, Title: "A code system is named by an absolute URI"},
	ruleSystemValueSet:      {ID: "code-system-value-set", Severity: erro, Code: validators.CodeCodeInvalid, Title: "A system names a code system, not a value set or a supplement"},
	ruleSliceMin:            {ID: "slice-min", Severity: erro, Code: validators.CodeRequired, Title: "Required slices are present"},
	ruleSliceMax:            {ID: "slice-max", Severity: erro, Code: validators.CodeStructure, Title: "Slices occur no more often than allowed"},
	ruleSliceClosed:         {ID: "slice-closed", Severity: erro, Code: validators.CodeStructure, Title: "Items of a closed slicing fit one of its slices"},
	ruleSliceOrder:          {ID: "slice-order", Severity: erro, Code: validators.CodeStructure, Title: "Items of an ordered slicing come in its order"},
	ruleSliceAmbiguous:      {ID: "slice-ambiguous", Severity: erro, Code: validators.CodeStructure, Title: "An item fits one slice"},
	ruleSliceUnchecked:      {ID: "slice-unchecked", Severity: info, Code: validators.CodeNotSupported, Title: "A slice has a discriminator that can be evaluated"},
	ruleExtensionURL:        {ID: "extension-url-missing", Severity: erro, Code: validators.CodeRequired, Title: "An extension has a url"},
	ruleExtensionURLForm:    {ID: "extension-url-form", Severity: erro, Code: validators.CodeValue, Title: "The url of an extension is absolute, and has no version"},
	ruleExtensionUnknown:    {ID: "extension-unknown", Severity: info, Code: validators.CodeExtension, Title: "An extension has a definition in the active guides"},
	ruleExtensionModifierUnknown: {
		ID: "extension-modifier-unknown", Severity: warn, Code: validators.CodeExtension, Title: "A modifier extension has a definition in the active guides",
	},
	ruleExtensionModifier:       {ID: "extension-modifier", Severity: erro, Code: validators.CodeExtension, Title: "An extension is used as a modifier if and only if it is defined as one"},
	ruleExtensionContext:        {ID: "extension-context", Severity: erro, Code: validators.CodeExtension, Title: "An extension is used where its definition allows it"},
	ruleExtensionContent:        {ID: "extension-content", Severity: erro, Code: validators.CodeInvariant, Title: "An extension has either a value or nested extensions"},
	ruleExtensionNested:         {ID: "extension-nested-unknown", Severity: erro, Code: validators.CodeExtension, Title: "A nested extension with a relative url is defined by its parent"},
	ruleReferenceForm:           {ID: "reference-form", Severity: erro, Code: validators.CodeValue, Title: "A reference is a URL of the form Type/id, absolute, #id or a search"},
	ruleReferenceEmpty:          {ID: "reference-empty", Severity: warn, Code: validators.CodeIncomplete, Title: "A reference says what it refers to"},
	ruleReferenceContained:      {ID: "reference-contained", Severity: erro, Code: validators.CodeInvariant, Title: "A reference #id points to a contained resource"},
	ruleReferenceTarget:         {ID: "reference-target", Severity: erro, Code: validators.CodeStructure, Title: "A reference points to a resource of an allowed type"},
	ruleReferenceType:           {ID: "reference-type", Severity: erro, Code: validators.CodeStructure, Title: "Reference.type is the type of the target"},
	ruleReferenceProfile:        {ID: "reference-profile", Severity: erro, Code: validators.CodeStructure, Title: "The target of a reference conforms to one of the target profiles"},
	ruleReferenceAggregation:    {ID: "reference-aggregation", Severity: erro, Code: validators.CodeStructure, Title: "The target of a reference is where the profile allows it"},
	ruleReferenceBundle:         {ID: "reference-bundle", Severity: erro, Code: validators.CodeNotFound, Title: "References between the entries of a document or message can be followed"},
	ruleReferenceAmbiguous:      {ID: "reference-ambiguous", Severity: erro, Code: validators.CodeDuplicate, Title: "A reference in a Bundle leads to one entry"},
	ruleReferenceUnresolved:     {ID: "reference-apparent", Severity: warn, Code: validators.CodeNotFound, Title: "An entry that a reference seems to mean can be reached by it"},
	ruleReferenceMissing:        {ID: "reference-missing", Severity: erro, Code: validators.CodeNotFound, Title: "A reference leads to a resource at hand"},
	ruleContainedID:             {ID: "contained-id", Severity: erro, Code: validators.CodeInvalid, Title: "Contained resources have an id"},
	ruleContainedNested:         {ID: "contained-nested", Severity: erro, Code: validators.CodeInvariant, Title: "Contained resources contain no resources"},
	ruleContainedMeta:           {ID: "contained-meta", Severity: erro, Code: validators.CodeInvariant, Title: "Contained resources have no version, update time or security label"},
	ruleContainedOrphan:         {ID: "contained-orphan", Severity: erro, Code: validators.CodeInvariant, Title: "Contained resources are referred to"},
	ruleIDDuplicate:             {ID: "id-duplicate", Severity: erro, Code: validators.CodeDuplicate, Title: "Contained resources have different ids"},
	ruleElementID:               {ID: "element-id-duplicate", Severity: erro, Code: validators.CodeDuplicate, Title: "Elements of a resource have different ids"},
	ruleUnsafeText:              {ID: "text-tags", Severity: erro, Code: validators.CodeSecurity, Title: "Text has no HTML tags"},
	ruleBundleFullURL:           {ID: "bundle-fullurl-missing", Severity: erro, Code: validators.CodeRequired, Title: "Entries that need a fullUrl have one"},
	ruleBundleFullURLForm:       {ID: "bundle-fullurl-form", Severity: erro, Code: validators.CodeValue, Title: "A fullUrl is an absolute URL without a version"},
	ruleBundleFullURLMatch:      {ID: "bundle-fullurl-id", Severity: erro, Code: validators.CodeValue, Title: "A fullUrl agrees with the type and id of its resource"},
	ruleBundleFullURLTwice:      {ID: "bundle-fullurl-duplicate", Severity: erro, Code: validators.CodeDuplicate, Title: "Entries have different fullUrls, or different versions"},
	ruleBundleOrphan:            {ID: "bundle-orphan", Severity: erro, Code: validators.CodeInformational, Title: "Entries of a document or message are reached from its first entry"},
	ruleBundlePageLink:          {ID: "bundle-page-link", Severity: erro, Code: validators.CodeBusinessRule, Title: "Only search results and histories have pages"},
	ruleBundleLink:              {ID: "bundle-link", Severity: erro, Code: validators.CodeDuplicate, Title: "A link relation occurs once"},
	ruleBundleStylesheet:        {ID: "bundle-stylesheet", Severity: erro, Code: validators.CodeNotFound, Title: "A stylesheet that a document links to is in it"},
	ruleBundleMode:              {ID: "bundle-search-mode", Severity: info, Code: validators.CodeIncomplete, Title: "Entries of a search result say why they are there"},
	ruleBundleSearchType:        {ID: "bundle-search-type", Severity: erro, Code: validators.CodeStructure, Title: "Matches of a search have the type searched for"},
	ruleBundleSearchID:          {ID: "bundle-search-id", Severity: erro, Code: validators.CodeRequired, Title: "Resources in a search result have an id"},
	ruleSearchType:              {ID: "search-parameter-type", Severity: erro, Code: validators.CodeInvalid, Title: "A search parameter has the type of the one it stands on"},
	ruleQuestionnaireUnknown:    {ID: "questionnaire-unknown", Severity: info, Code: validators.CodeNotFound, Title: "The Questionnaire of a response is at hand"},
	ruleQuestionnaireItem:       {ID: "questionnaire-item", Severity: erro, Code: validators.CodeStructure, Title: "Items of a response are those of its Questionnaire, in its order"},
	ruleQuestionnaireRequired:   {ID: "questionnaire-required", Severity: erro, Code: validators.CodeRequired, Title: "Required items are answered"},
	ruleQuestionnaireRepeats:    {ID: "questionnaire-repeats", Severity: erro, Code: validators.CodeStructure, Title: "An item that does not repeat is answered once"},
	ruleQuestionnaireStructure:  {ID: "questionnaire-structure", Severity: erro, Code: validators.CodeStructure, Title: "Groups and displays have no answer, and items of a question stand in its answer"},
	ruleQuestionnaireEnabled:    {ID: "questionnaire-enabled", Severity: erro, Code: validators.CodeBusinessRule, Title: "Only items whose conditions hold are answered"},
	ruleQuestionnaireType:       {ID: "questionnaire-answer-type", Severity: erro, Code: validators.CodeStructure, Title: "An answer has the type of its item"},
	ruleQuestionnaireOption:     {ID: "questionnaire-answer-option", Severity: erro, Code: validators.CodeCodeInvalid, Title: "An answer is one of the options"},
	ruleQuestionnaireLimit:      {ID: "questionnaire-answer-limit", Severity: erro, Code: validators.CodeValue, Title: "An answer keeps to the length, range and form of its item"},
	ruleQuestionnaireCondition:  {ID: "questionnaire-condition", Severity: erro, Code: validators.CodeBusinessRule, Title: "Conditions of an item lead to another item"},
	ruleNarrativeForm:           {ID: "narrative-form", Severity: erro, Code: validators.CodeInvariant, Title: "A narrative is the XHTML that FHIR allows"},
	ruleNarrativeEmpty:          {ID: "narrative-empty", Severity: erro, Code: validators.CodeInvariant, Title: "A narrative has some content"},
	ruleNarrativeLink:           {ID: "narrative-link", Severity: erro, Code: validators.CodeNotFound, Title: "Local links in a narrative lead somewhere"},
	ruleNarrativeSource:         {ID: "narrative-source", Severity: erro, Code: validators.CodeBusinessRule, Title: "A narrative says where each of its parts comes from, where the profile asks for it"},
	ruleNarrativeLanguage:       {ID: "narrative-language", Severity: erro, Code: validators.CodeBusinessRule, Title: "A narrative is in the languages that the profile asks for"},
	ruleAttachmentSize:          {ID: "attachment-size", Severity: erro, Code: validators.CodeValue, Title: "Attachment.size is the length of its data"},
	ruleAttachmentHash:          {ID: "attachment-hash", Severity: erro, Code: validators.CodeValue, Title: "Attachment.hash is the SHA-1 of its data"},
	ruleInvariant:               {ID: "invariant", Severity: erro, Code: validators.CodeInvariant, Title: "Constraints of the definitions hold"},
	ruleInvariantUnchecked:      {ID: "invariant-unchecked", Severity: info, Code: validators.CodeNotSupported, Title: "Constraints of the definitions can be evaluated"},
	ruleProfileUnknown:          {ID: "profile-unknown", Severity: warn, Code: validators.CodeNotFound, Title: "Claimed profiles are in the active guides"},
	ruleProfileType:             {ID: "profile-type", Severity: erro, Code: validators.CodeStructure, Title: "A profile is for the type of the resource"},
	ruleProfileFault:            {ID: "profile-fault", Severity: info, Code: validators.CodeNotSupported, Title: "Definitions are free of faults that keep them from being checked"},
	ruleTypeProfile:             {ID: "type-profile", Severity: erro, Code: validators.CodeStructure, Title: "A value conforms to one of the profiles of its type"},
	ruleResourceKind:            {ID: "resource-kind", Severity: erro, Code: validators.CodeStructure, Title: "A resource has one of the types allowed at its place"},
	ruleDefinitionElement:       {ID: "definition-element", Severity: erro, Code: validators.CodeInvalid, Title: "A profile constrains elements that its type has"},
	ruleDefinitionCardinality:   {ID: "definition-cardinality", Severity: erro, Code: validators.CodeInvalid, Title: "A profile requires no less and allows no more than its base"},
	ruleDefinitionType:          {ID: "definition-type", Severity: erro, Code: validators.CodeInvalid, Title: "A profile gives an element types that its base allows"},
	ruleDefinitionValue:         {ID: "definition-value", Severity: erro, Code: validators.CodeInvalid, Title: "A fixed value or pattern has a type of its element"},
	ruleDefinitionDiscriminator: {ID: "definition-discriminator", Severity: erro, Code: validators.CodeInvalid, Title: "A discriminator leads to something in the sliced element"},
	ruleDefinitionExpression:    {ID: "definition-expression", Severity: erro, Code: validators.CodeInvalid, Title: "Expressions of constraints can be evaluated on their element"},
	ruleDefinitionSlicing:       {ID: "definition-slicing", Severity: erro, Code: validators.CodeInvalid, Title: "A profile keeps the slicing of its base"},
	ruleDefinitionBase:          {ID: "definition-base", Severity: erro, Code: validators.CodeInvalid, Title: "A definition fits what it builds on"},
	ruleDefinitionBinding:       {ID: "definition-binding", Severity: erro, Code: validators.CodeInvalid, Title: "A profile keeps the required bindings of its base"},
	ruleDefinitionOrder:         {ID: "definition-order", Severity: erro, Code: validators.CodeInvalid, Title: "A differential has the order of its base"},
	ruleOperationProfile:        {ID: "operation-profile", Severity: erro, Code: validators.CodeNotFound, Title: "The profiles of an operation are known profiles of Parameters"},
	ruleSearchExpression:        {ID: "search-parameter-expression", Severity: erro, Code: validators.CodeInvalid, Title: "The expression of a search parameter can be evaluated on its base"},
	ruleSearchComponent:         {ID: "search-parameter-component", Severity: erro, Code: validators.CodeInvalid, Title: "A composite search parameter has two components or more"},
	ruleValueSetSystem:          {ID: "value-set-system", Severity: erro, Code: validators.CodeInvalid, Title: "A value set draws on code systems with an absolute URI"},
	ruleValueSetFilter:          {ID: "value-set-filter", Severity: erro, Code: validators.CodeInvalid, Title: "The filters of a value set can be applied"},
	ruleCodeSystemProperty:      {ID: "code-system-property", Severity: erro, Code: validators.CodeInvalid, Title: "Properties of concepts are declared, and have the types declared"},
	ruleValueSetCode:            {ID: "value-set-code", Severity: warn, Code: validators.CodeCodeInvalid, Title: "The codes that a value set lists exist in their code system"},
	ruleCodeSystemContent:       {ID: "code-system-content", Severity: erro, Code: validators.CodeInvalid, Title: "A code system holds what it says of its content"},
	ruleCodeSystemCount:         {ID: "code-system-count", Severity: erro, Code: validators.CodeInvalid, Title: "The count of a code system is that of its concepts"},
	ruleIdentifierSystem:        {ID: "identifier-system", Severity: erro, Code: validators.CodeValue, Title: "The system of an identifier is an absolute URI"},
	ruleIdentifierValue:         {ID: "identifier-value", Severity: erro, Code: validators.CodeValue, Title: "The value of an identifier is a URI where its system says so"},
}
