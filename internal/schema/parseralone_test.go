package schema

// Why a schema cannot see a mistake.
const (
	notYAML     = "YAML itself, or what attache refuses of it: aliases, a key that stands twice, a second document"
	reference   = "a name or an address that is known or taken elsewhere in the file"
	ownRecipe   = "what stands in a recipe file of the user's own"
	environment = "a file, a variable or a user of the machine"
	combination = "keys and values that need or exclude each other"
	form        = "a text or an empty list whose form is more than a regular expression should say"
)

// configParserAlone lists the files in internal/config/testdata/bad that the schema
// accepts, and why.
func configParserAlone() map[string]string {
	return map[string]string{
		"credential-twice":             notYAML,
		"empty":                        notYAML,
		"key-twice":                    notYAML,
		"syntax":                       notYAML,
		"address-taken":                reference,
		"address-taken-by-default":     reference,
		"admin-taken-by-default":       reference,
		"callers-twice":                reference,
		"handout-taken":                reference,
		"inject-conflict":              reference,
		"route-name-made":              reference,
		"route-name-taken":             reference,
		"route-shadowed":               reference,
		"socket-taken":                 reference,
		"upstream-admin":               reference,
		"with-credential-cycle":        reference,
		"with-credential-unknown":      reference,
		"recipe-file-broken":           ownRecipe,
		"recipe-file-folder":           ownRecipe,
		"recipe-file-missing":          ownRecipe,
		"rotates":                      ownRecipe,
		"with-bad-value":               ownRecipe,
		"with-missing-param":           ownRecipe,
		"with-unknown-param":           ownRecipe,
		"callers-bearer":               environment,
		"socket-owner":                 environment,
		"store-key-missing":            environment,
		"store-key-short":              environment,
		"tls-ca":                       environment,
		"tls-ca-missing":               environment,
		"tls-empty":                    environment,
		"tls-pair":                     environment,
		"with-env-unset":               environment,
		"with-file-empty":              environment,
		"with-file-missing":            environment,
		"admin-map-not-loopback":       combination,
		"admin-not-loopback":           combination,
		"callers-certificate":          combination,
		"callers-in-clear":             combination,
		"certificates-folder-key":      combination,
		"certificates-missing":         combination,
		"certificates-no-key":          combination,
		"client-ca-missing":            combination,
		"client-ca-useless":            combination,
		"handout-in-clear":             combination,
		"handout-mode":                 combination,
		"handout-open":                 combination,
		"listen-mode":                  combination,
		"listen-not-loopback":          combination,
		"listen-tls-ca":                combination,
		"route-tls-plain":              combination,
		"store-file-keys":              combination,
		"store-keys-many":              combination,
		"store-keys-same":              combination,
		"store-redis-cluster-database": combination,
		"store-redis-differ":           combination,
		"store-redis-master-cluster":   combination,
		"store-redis-not-a-cluster":    combination,
		"store-redis-tls":              combination,
		"socket-no-effect":             combination,
		"tls-half":                     combination,
		"certificates-folder":          form,
		"certificates-redis-query":     form,
		"host":                         form,
		"listen-empty":                 form,
		"listen-host":                  form,
		"methods-empty":                form,
		"store-file":                   form,
		"store-keys-none":              form,
		"store-redis-master":           form,
		"store-redis-none":             form,
		"tls-inline":                   form,
		"upstream-dots":                form,
		"upstream-user":                form,
		"with-file-path":               form,
		"with-header-name":             form,
		"with-query-name":              form,
	}
}

// recipeParserAlone lists those in recipe/testdata/bad.
func recipeParserAlone() map[string]string {
	return map[string]string{
		"alias":                 notYAML,
		"duplicate-key":         notYAML,
		"empty":                 notYAML,
		"not-yaml":              notYAML,
		"second-document":       notYAML,
		"name-taken":            reference,
		"param-default-cycle":   reference,
		"param-default-unknown": reference,
		"template":              reference,
		"token-cycle":           reference,
		"no-tokens":             combination,
		"param-pattern":         form,
		"slips":                 form,
		"tokens-empty":          form,
		"url":                   form,
	}
}
