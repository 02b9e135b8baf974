// Answers in the text of a solution, and whether two are the same: the rules of GSM8K and of the
// MATH benchmark. For evaluation and for rewards that check answers. Pure functions; any thread.
#pragma once
#include <optional>
#include <string>
#include <string_view>

namespace pawl::text {

// GSM8K (Cobbe et al. 2021): the number behind the last "####", or, where there is none, behind the
// last "A:"; digits, '.', ',' and a sign, without the commas and a '.' at the end. Nothing where
// there is no such number.
std::optional<std::string> Gsm8kAnswer(std::string_view solution);
// Whether a solution ends in the answer of the other: equal as text, as the benchmark counts.
bool IsGsm8kCorrect(std::string_view solution, std::string_view reference);

// The last number of a text, without its commas: "1,234.5" gives "1234.5".
std::optional<std::string> LastNumber(std::string_view text);

// The content of the last \boxed{..} or \fbox{..}, braces balanced; also "\boxed 5" up to the next
// '$'. Nothing where there is none, or it is not closed.
std::optional<std::string> LastBoxed(std::string_view text);

// The normal form of an answer in LaTeX by the rules of MATH (Hendrycks et al. 2021): without
// spaces, \left, \right, units, degrees, percent and dollar signs; fractions and roots with braces;
// "0.5" is \frac{1}{2}, ".5" is "0.5", "x = 2" is "2", "1/2" is \frac{1}{2}.
std::string NormalLatex(std::string_view answer);
bool IsSameLatex(std::string_view a, std::string_view b);

}  // namespace pawl::text
