using System.ComponentModel;
using AssistantQueue;
using Microsoft.Extensions.AI;

namespace WebChat;

/// <summary>What the model may do in this program: look at an order, and give money back when a person approves it. Made-up orders.</summary>
public static class Tools
{
    public static IAssistantQueueBuilder AddShopTools(this IAssistantQueueBuilder queue) => queue
        .AddTool(AIFunctionFactory.Create(OrderStatus, "order_status"))
        .AddTool(new ApprovalRequiredAIFunction(AIFunctionFactory.Create(Refund, "refund")));

    [Description("Says where an order is.")]
    private static string OrderStatus([Description("The order's number.")] string number) =>
        number.Length % 2 == 0 ? $"Order {number} was delivered yesterday." : $"Order {number} is on its way and two days late.";

    // A shop would keep the call's id with the refund: the same call is made again when a worker dies in the middle of it.
    [Description("Gives money back for an order.")]
    private static string Refund([Description("The order's number.")] string number, [Description("The amount in euros.")] decimal euros, AIFunctionArguments arguments) =>
        FormattableString.Invariant($"Refunded {euros:0.00} € for order {number} (reference {arguments.GetToolCall()?.CallId}).");
}
