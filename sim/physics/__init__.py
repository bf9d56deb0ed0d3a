"""Laws of nature as pure functions of arrays, and the plant that steps them."""
