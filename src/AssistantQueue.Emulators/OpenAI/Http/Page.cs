using System.Text.Json.Nodes;

namespace AssistantQueue.Emulators;

/// <summary>One page of a list: limit, order, after and before, as all list calls of the API understand them.</summary>
internal static class Page
{
    private static readonly string[] Parameters = ["limit", "order", "after", "before", "run_id", "include", "include[]", "api-version"];

    /// <param name="exchange">The request with the query.</param>
    /// <param name="oldestFirst">The whole list in the order of its making.</param>
    public static JsonObject Of(Exchange exchange, IReadOnlyList<JsonObject> oldestFirst)
    {
        if (exchange.Http.Request.Query.Keys.FirstOrDefault(k => !Parameters.Contains(k, StringComparer.Ordinal)) is { } unknown)
        {
            throw new ApiException(400, $"Unknown parameter: '{unknown}'.", "unknown_parameter", unknown);
        }

        var limit = Limit(exchange.Query("limit"));
        var order = exchange.Query("order") ?? "desc";
        if (order is not ("asc" or "desc"))
        {
            throw new ApiException(400, $"Invalid value: '{order}'. Supported values are: 'asc' and 'desc'.", "invalid_value", "order");
        }

        IEnumerable<JsonObject> rest = order == "asc" ? oldestFirst : oldestFirst.Reverse();
        if (exchange.Query("after") is { Length: > 0 } after)
        {
            rest = rest.Skip(Position(rest, after, "after") + 1);
        }

        if (exchange.Query("before") is { Length: > 0 } before)
        {
            rest = rest.Take(Position(rest, before, "before"));
        }

        var page = rest.Take(limit + 1).ToList();
        var more = page.Count > limit;
        if (more)
        {
            page.RemoveAt(limit);
        }

        return new JsonObject
        {
            ["object"] = "list",
            ["data"] = Wire.Copies(page),
            // the schema wants strings here, also in an empty list
            ["first_id"] = page.Count > 0 ? page[0].Text("id") : "",
            ["last_id"] = page.Count > 0 ? page[^1].Text("id") : "",
            ["has_more"] = more,
        };
    }

    private static int Limit(string? text)
    {
        if (text is null)
        {
            return 20;
        }

        if (!int.TryParse(text, out var limit))
        {
            throw new ApiException(400, $"Invalid type for 'limit': expected an integer, but got '{text}' instead.", "invalid_type", "limit");
        }

        return limit switch
        {
            < 1 => throw new ApiException(400, $"Invalid 'limit': integer below minimum value. Expected a value >= 1, but got {limit} instead.", "integer_below_min_value", "limit"),
            > 100 => throw new ApiException(400, $"Invalid 'limit': integer above maximum value. Expected a value <= 100, but got {limit} instead.", "integer_above_max_value", "limit"),
            _ => limit,
        };
    }

    private static int Position(IEnumerable<JsonObject> list, string id, string parameter)
    {
        var at = list.TakeWhile(i => i.Text("id") != id).Count();
        return at < list.Count() ? at : throw new ApiException(400, $"Invalid '{parameter}': no object with id '{id}' in this list.", "invalid_value", parameter);
    }
}
