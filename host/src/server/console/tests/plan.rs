//! What policies would do, shown before they do it.

use super::*;

#[tokio::test]
async fn a_plan_shows_what_would_happen_and_the_first_of_many() {
    let keys = (0..150).map(|number| format!("old/{number:03}")).chain(["keep/this".to_owned()]);
    let fixture = fixture_with(&keys.collect::<Vec<_>>()).await;
    let cookie = fixture.cookie().await;
    let page = fixture.get("/console/plan?store=documents", &cookie).await.text;
    for words in ["keep/this", "it would go, and is retained until", "old/098", "750 B", "And 51 more"] {
        assert!(page.contains(words), "{words} is not in {page}");
    }
    assert!(!page.contains("old/099") && !page.contains("Cut off"), "{page}");
    let none = fixture.get("/console/plan?store=none", &cookie).await;
    assert_eq!(none.status, StatusCode::NOT_FOUND);
    let manager = &fixture.host.stores[0].manager;
    assert!(manager.metadata(&Key::new("old/000").unwrap()).await.is_ok(), "nothing is changed by looking");
}

#[tokio::test(start_paused = true)]
async fn a_plan_that_takes_too_long_is_cut_off_and_says_so() {
    let keys: Vec<_> = (0..=LifecycleManager::BATCH).map(|number| format!("old/{number:04}")).collect();
    let fixture = fixture_with(&keys).await;
    let page = fixture.get("/console/plan?store=documents", &fixture.cookie().await).await.text;
    for words in ["Cut off after 10 s", "<td class=\"number\">512</td>", "And 412 more"] {
        assert!(page.contains(words), "{words} is not in {page}");
    }
    assert!(!page.contains("<th scope=\"row\">keep</th>"), "nobody knows how many are kept: {page}");
}
