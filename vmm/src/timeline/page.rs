//! A report as one page that needs nothing else: style, drawing and data are in it.

use serde_json::Value;

const TEMPLATE: &str = include_str!("page.html");
const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

/// The page of `report`.
pub(super) fn page(report: &Value) -> String {
    // What a guest printed must not end the element that it stands in.
    let data = report.to_string().replace('<', "\\u003c");
    TEMPLATE.replace("/*STYLE*/", STYLE).replace("/*SCRIPT*/", SCRIPT).replace("/*DATA*/", &data)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn page_is_whole_and_no_text_of_the_guest_gets_out_of_its_place() {
        let page = page(&json!({ "text": "</script><script>alert(1)</script>" }));
        assert!(page.contains(r#"{"text":"\u003c/script>\u003cscript>alert(1)"#));
        assert_eq!(page.matches("</script>").count(), 2);
        for outside in ["http:", "https:", "src=", "href=", "@import", "url("] {
            let strange = page.replace("http://www.w3.org/2000/svg", "");
            assert!(!strange.contains(outside), "{outside}");
        }
    }
}
