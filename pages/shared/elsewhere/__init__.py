"""Maps that were made elsewhere, beside those of the methods here."""
