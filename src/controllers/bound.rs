//! Lists of a status have a bound in their schema: a longer one would never be written again. So what is worth least goes.

use std::cmp::Reverse;

/// The rows, without those that are worth least where there are more than `most`. The order of the rest may change then.
#[must_use]
pub fn bounded<T, W: Ord>(mut rows: Vec<T>, most: usize, worth: impl Fn(&T) -> W) -> Vec<T> {
    if rows.len() > most {
        rows.sort_by_cached_key(|row| Reverse(worth(row)));
        rows.truncate(most);
    }
    rows
}

/// How many objects the record of a step lists.
pub const LISTED: usize = 200;

/// Objects as the record of a step takes them: of too many the first, and how many more there are. The inventory has all.
#[must_use]
pub fn listed(objects: &[String]) -> Vec<String> {
    if objects.len() <= LISTED {
        return objects.to_vec();
    }
    let mut listed: Vec<String> = objects.iter().take(LISTED - 1).cloned().collect();
    listed.push(format!("and {} more", objects.len() - listed.len()));
    listed
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::crds;

    #[test]
    fn what_is_worth_least_goes_and_only_as_much_as_must() {
        assert_eq!(bounded(vec![3, 1, 2], 3, |row| *row), [3, 1, 2]);
        assert_eq!(bounded(vec![3, 1, 4, 2], 2, |row| *row), [4, 3]);
        assert_eq!(bounded(vec![3, 1], 0, |row| *row), [0; 0]);
    }

    #[test]
    fn of_more_objects_than_a_record_lists_it_says_how_many_more_there_are() {
        let objects = |count: usize| (0..count).map(|n| format!("ConfigMap/c{n}")).collect::<Vec<_>>();
        assert_eq!(listed(&objects(LISTED)), objects(LISTED));
        let cut = listed(&objects(LISTED + 1));
        assert_eq!((cut.len(), cut.last().map(String::as_str)), (LISTED, Some("and 2 more")));
    }

    #[test]
    fn the_bounds_of_rows_are_those_of_the_schema() {
        let definitions = serde_json::to_value(crds::all()).unwrap();
        let most = |kind: &str, field: &str| {
            let all = definitions.as_array().unwrap();
            let definition = all.iter().find(|definition| definition["spec"]["names"]["kind"] == kind).unwrap();
            let status = "/spec/versions/0/schema/openAPIV3Schema/properties/status/properties";
            let bound = definition.pointer(&format!("{status}/{field}/maxItems")).unwrap().as_u64().unwrap();
            usize::try_from(bound).unwrap()
        };
        for field in ["objects", "pruned"] {
            assert_eq!(most("Promotion", &format!("steps/items/properties/{field}")), LISTED, "{field}");
        }
        assert_eq!(most("Project", "environments"), crate::controllers::project::rows::MOST);
        assert_eq!(most("Environment", "deployments"), crate::controllers::deployments::rows::MOST);
        for field in ["environments", "phases", "phases/items/properties/environments", "next", "due"] {
            assert_eq!(most("Release", field), crate::controllers::release::rows::MOST, "{field}");
        }
    }
}
