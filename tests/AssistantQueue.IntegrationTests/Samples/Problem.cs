using System.Net;
using System.Text.Json;

namespace AssistantQueue.IntegrationTests.Samples;

/// <summary>Checks that an answer is problem details that say what they should.</summary>
internal static class Problem
{
    public static async Task<JsonElement> AssertAsync(HttpResponseMessage response, HttpStatusCode status, string says)
    {
        var body = await response.Content.ReadAsStringAsync();
        Assert.True(response.StatusCode == status, $"{(int)response.StatusCode} instead of {(int)status}, expected '{says}': {body}");
        Assert.Equal("application/problem+json", response.Content.Headers.ContentType?.MediaType);
        Assert.Contains(says, body, StringComparison.OrdinalIgnoreCase);
        return JsonSerializer.Deserialize<JsonElement>(body);
    }
}
